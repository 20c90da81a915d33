"""What tests share: an origin to fetch from, and a running mesh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.origin import Origin
from tests.running_mesh import RunningMesh


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    demo = {"DEMO": "on", "DEMO_ADDRESS_PER_DAY": "1000000", "DEMO_PER_DAY": "1000000"}
    # Films take their time on a machine that has others to serve.
    with RunningMesh(tmp_path_factory.mktemp("mesh"), GATEWAY_MATCH_SECONDS="100", **demo) as running:
        yield running
