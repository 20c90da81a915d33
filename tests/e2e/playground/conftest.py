"""The playground in a real browser, which is to reach nothing but the gateway and to complain of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.running_mesh import RunningMesh

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser import Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.browser import running_browser  # noqa: PLC0415

    with running_browser() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, mesh: RunningMesh) -> Iterator[Visit]:
    from tests.browser import visits  # noqa: PLC0415
    from tests.e2e.playground.page import ready  # noqa: PLC0415

    with visits(browser, mesh, "/", ready) as opened:
        yield opened
