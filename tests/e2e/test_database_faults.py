"""The database gone, silent, late or there and gone in turns: who asks is told at once, nothing piles up, all is soon well."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from index_svc.embedded import EmbeddedPostgres
from tests import links
from tests.bulk import until_over, wait_until
from tests.e2e.test_drill import CODES, PATIENCE_SECONDS, Ingest, all_assets, service
from tests.index_client import Project, new_project
from tests.integration.index_svc.conftest import RunningPostgres
from tests.links import Link, Write
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import Answer, RunningMesh

CONNECTIONS: Final = 8
CALLERS: Final = 40
"""At once: far more than there are connections."""
TURN_SECONDS: Final = 0.7


@dataclass(frozen=True)
class Linked:
    """A mesh whose index reaches its database over a link."""

    mesh: RunningMesh
    link: Link
    project: Project
    ingest: Ingest
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def hand_in(self) -> list[str]:
        """The jobs of another batch."""
        return self.ingest.send(next(self.numbers))

    def check_whole(self, jobs: list[str], origin: Origin) -> None:
        """Each of these ends well, each asset that was ever accepted is there once, and the last one is found."""
        assert {until_over(self.project, job, PATIENCE_SECONDS)["status"] for job in jobs} == {"ready"}
        assert Counter(all_assets(self.project)) == {(name, "ready"): 1 for name in self.ingest.names}
        last = self.ingest.names[-1]
        assert [hit["name"] for hit in self.project.search(origin.url(f"{last}.jpg"), threshold=1.0)] == [last]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Linked]:
    folder = tmp_path_factory.mktemp("linked")
    (folder / "mesh").mkdir()
    embedded = EmbeddedPostgres(folder / "pg" / "database" / "18", folder / "db")
    with RunningPostgres(embedded), Link(folder / "db" / ".s.PGSQL.5432") as link:
        environment = {
            "DATABASE_URL": f"host=127.0.0.1 port={link.port} user=mediamesh dbname=postgres",
            "INDEX_CONNECTIONS": str(CONNECTIONS),
            "IMAGE_WORKERS": "1",
            "AUDIO_ADDRESS": "",
            "VIDEO_ADDRESS": "",
        }
        with RunningMesh(folder / "mesh", **environment) as mesh:
            project = new_project(mesh)
            yield Linked(mesh, link, project, Ingest(project, origin))


class InTurns:
    """Enter it to have the link bad and good in turns."""

    def __init__(self, link: Link, write: Write) -> None:
        self._link, self._write = link, write
        self._is_over = threading.Event()
        self.turns = 0

    def __enter__(self) -> InTurns:
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._link.write = links.faithfully

    def _turn(self) -> None:
        for write in itertools.cycle((self._write, links.faithfully)):
            self._link.write = write
            if self._is_over.wait(TURN_SECONDS):
                return
            self.turns += 1


def timed(ask: Callable[[], Answer]) -> tuple[Answer, float]:
    started = time.monotonic()
    return ask(), time.monotonic() - started


def ask_all(project: Project) -> list[tuple[Answer, float]]:
    """Many at once, and how long each was kept waiting."""
    with ThreadPoolExecutor(CALLERS) as threads:
        return list(threads.map(lambda _: timed(lambda: project.request("GET", "/v1/assets?limit=1")), range(CALLERS)))


def connections(linked: Linked) -> int:
    """To the database, of the index."""
    open_ones = service(linked.mesh, "index_svc").net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == linked.link.port for each in open_ones)


def is_ready(linked: Linked) -> bool:
    return linked.mesh.get("/readyz").status == 200


few_or_many = pytest.mark.parametrize(
    "rounds", [pytest.param(1, id="once"), pytest.param(10, id="10 rounds", marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)


@few_or_many
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(links.reset, id="away"),
        pytest.param(links.never, id="silent", marks=pytest.mark.long),
        pytest.param(links.very_late, id="late"),
    ],
)
def test_who_asks_an_absent_database_is_told_at_once(linked: Linked, origin: Origin, write: Write, rounds: int) -> None:
    project, mesh = linked.project, linked.mesh
    jobs: list[str] = []
    process = service(mesh, "index_svc")
    for _ in range(rounds):
        jobs += linked.hand_in()
        threads = process.num_threads()
        linked.link.write = write
        try:
            began = time.monotonic()
            first = ask_all(project)
            wait_until(lambda: not is_ready(linked), PATIENCE_SECONDS)
            unready = time.monotonic() - began
            answers = ask_all(project)
            held = connections(linked), process.num_threads() - threads
            apart = mesh.match(*(origin.serve("fault-apart.jpg", encoded(photo(70_000, 160, 120), "JPEG")),) * 2)
        finally:
            linked.link.write = links.faithfully
        back = time.monotonic()
        wait_until(lambda: project.request("GET", "/v1/assets?limit=1").status == 200, PATIENCE_SECONDS)
        wait_until(lambda: is_ready(linked), PATIENCE_SECONDS)
        print(  # noqa: T201
            f"first ones {max(seconds for _, seconds in first):.2f} s, not ready {unready:.2f} s, then {max(s for _, s in answers):.3f} s,"
            f" well after {time.monotonic() - back:.2f} s, {held[0]} connections, {held[1]:+} threads"
        )
        assert {answer.code for answer, _ in first if answer.status != 200} <= CODES
        assert {(answer.status, answer.code) for answer, _ in answers} == {(503, "not_available")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer, _ in answers)
        # Nobody waited for the database.
        assert max(seconds for _, seconds in answers) < links.VERY_LATE_SECONDS
        assert max(held) < CALLERS / 2
        # What needs no database goes on.
        assert apart.status == 200
    linked.check_whole([*jobs, *linked.hand_in()], origin)
    assert service(mesh, "index_svc") == process


@few_or_many
@pytest.mark.parametrize("write", [pytest.param(links.reset, id="away"), pytest.param(links.never, id="silent", marks=pytest.mark.long)])
def test_database_that_comes_and_goes_costs_coded_errors_alone(linked: Linked, origin: Origin, write: Write, rounds: int) -> None:
    project, jobs = linked.project, linked.hand_in()
    process = service(linked.mesh, "index_svc")
    answers: list[tuple[Answer, float]] = []
    with InTurns(linked.link, write) as link:
        while link.turns < 4 * rounds:
            answers += ask_all(project)
    back = time.monotonic()
    wait_until(lambda: project.request("GET", "/v1/assets?limit=1").status == 200 and is_ready(linked), PATIENCE_SECONDS)
    slowest = max(seconds for _, seconds in answers)
    good = sum(answer.status == 200 for answer, _ in answers)
    print(f"{good} of {len(answers)} answered, the slowest in {slowest:.2f} s, well after {time.monotonic() - back:.2f} s")  # noqa: T201
    for answer, _ in answers:
        if answer.status != 200:
            assert (answer.status, answer.code) in ((503, "not_available"), (503, "overloaded"), (504, "deadline_exceeded")), answer
            assert int(answer.headers["retry-after"]) > 0
    assert connections(linked) < CALLERS / 2
    linked.check_whole([*jobs, *linked.hand_in()], origin)
    assert service(linked.mesh, "index_svc") == process


@pytest.mark.long
@pytest.mark.timeout(600)
def test_mesh_whose_database_comes_late_does_without_it_until_then(tmp_path: Path, origin: Origin) -> None:
    (tmp_path / "mesh").mkdir()
    embedded = EmbeddedPostgres(tmp_path / "pg" / "database" / "18", tmp_path / "pg" / "db")
    environment = {"DATABASE_URL": embedded.conninfo, "IMAGE_WORKERS": "1", "AUDIO_ADDRESS": "", "VIDEO_ADDRESS": ""}
    mesh = RunningMesh(tmp_path / "mesh", **environment)
    url = origin.serve("fault-late-database.jpg", encoded(photo(70_001, 160, 120), "JPEG"))
    with ExitStack() as stack, ThreadPoolExecutor(1) as thread:
        starting = thread.submit(stack.enter_context, mesh)
        wait_until(lambda: (tmp_path / "mesh" / "mesh.log").exists() and "mediamesh is ready" in mesh.log, PATIENCE_SECONDS)
        assert "not ready after 60 s: index" in mesh.log
        assert mesh.match(url, url).status == 200
        assert mesh.get("/readyz").status == 503
        with RunningPostgres(embedded):
            starting.result(PATIENCE_SECONDS)
            assert new_project(mesh).index(url)
