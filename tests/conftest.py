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
    with RunningMesh(tmp_path_factory.mktemp("mesh"), DEMO="on", DEMO_ADDRESS_PER_DAY="1000000", DEMO_PER_DAY="1000000") as running:
        yield running
