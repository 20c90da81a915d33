"""Pairs that anyone may ask about without a key, so many a day: what the playground is for strangers. Off unless DEMO is on.

What is asked and answered is what the pair endpoints take and give; only who is let in differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway import pair_handlers
from gateway.routes import Key, Route

PREFIX: Final = "/demo"
_DESCRIPTION: Final = """\
What `POST {path}` takes and answers, without a key, for trying it: so many a day from one address, and so many a day from all together.
Served where DEMO is on. For anything else take a key."""


def _demo_of(route: Route) -> Route:
    return replace(
        route,
        name=f"demo_{route.name}",
        path=PREFIX + route.path,
        summary=f"{route.summary}, as a demonstration",
        description=_DESCRIPTION.format(path=route.path),
        key=Key.DEMO,
    )


ROUTES: Final = tuple(_demo_of(route) for route in pair_handlers.ROUTES if route.path.endswith("/match"))
