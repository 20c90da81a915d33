"""The pages that let someone try the mesh in a browser: / and /studio."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.pages import assets_route, page, page_route
from gateway.routes import SETTINGS

# blob: is what a dropped file is shown from. A picture that is only a URL stays unseen: its host would learn who looks, and the page is to
# reach nothing but its gateway.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{hosts}; media-src blob:{hosts}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# Whoever asks to see them (?previews=on) gets the same page with the hosts let in, for pictures and films alone.
_ANY_HOST: Final = " https: http:"


async def playground(request: web.Request) -> web.Response:
    """GET /"""
    return _page(request, "index.html")


async def studio(request: web.Request) -> web.Response:
    """GET /studio"""
    return _page(request, "studio.html")


def _page(request: web.Request, file: str) -> web.Response:
    settings = request.app[SETTINGS]
    has_hosts = request.query.get("previews") == "on"
    facts = {
        "auth": "on" if settings.guards_pairs else "off",
        "demo": "on" if settings.demo else "off",
        "previews": "on" if has_hosts else "off",
        "uploads": "on" if "search_image_by_upload" in request.app.router else "off",
    }
    return page(request, "playground", file, _POLICY.format(hosts=_ANY_HOST if has_hosts else ""), facts)


ROUTES: Final = (
    page_route(
        "playground",
        "/",
        playground,
        "A page to try pairs and searches on",
        "Served where PLAYGROUND is on. It holds nothing of its own: it calls the routes below with what is dropped on it.",
    ),
    page_route(
        "studio",
        "/studio",
        studio,
        "A page that says where a match begins, by scores of your own",
        "Served where PLAYGROUND is on; it calls POST /thresholds/analyse with what it is given.",
    ),
    assets_route("playground"),
)
