"""The disk of the embedded database full: what writes is refused and what reads goes on; once there is room all is well by itself."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from index_svc.embedded import conninfo_of
from index_svc.store.database import RESERVED_BYTES
from mesh.settings import MeshSettings
from tests.bulk import send_csv, wait_until
from tests.e2e.test_drill import PATIENCE_SECONDS, all_assets, service, until_accepted
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import Answer, RunningMesh

DISK_BYTES: Final = 4 * RESERVED_BYTES
CHUNK: Final = bytes(1 << 20)
NOTICED: Final = "the disk of the database is full"

_seeds = itertools.count(80_000)


class MeshOnSmallDisk(RunningMesh):
    """Its database lies on a disk of its own, in memory, which nobody else sees."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        super().__init__(data_dir, **environment)
        self._folder = data_dir / "database"
        self._folder.mkdir()
        script = f'mount -t tmpfs -o size={DISK_BYTES},mode=0700 tmpfs "$0"; exec "$@"'
        self._command = ["unshare", "-rm", "sh", "-ec", script, str(self._folder), *self._command]

    @property
    def disk(self) -> Path:
        """That folder, as the mesh sees it."""
        return Path(f"/proc/{self.process.pid}/root", *self._folder.parts[1:])

    @property
    def conninfo(self) -> str:
        return conninfo_of(MeshSettings(data_dir=str(self.data_dir)).runtime_dir / "db")

    def fill_disk(self) -> None:
        with (self.disk / "filler").open("wb", buffering=0) as filler:
            for chunk in (CHUNK, CHUNK[:4096]):
                try:
                    while filler.write(chunk) == len(chunk):
                        pass
                except OSError:
                    continue

    def free_disk(self) -> None:
        (self.disk / "filler").unlink()

    @property
    def postmaster(self) -> str:
        return (self.disk / "18" / "postmaster.pid").read_text().splitlines()[0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshOnSmallDisk]:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("the kernel or the container gives this user no namespaces")
    folder = tmp_path_factory.mktemp("small")
    with MeshOnSmallDisk(folder, IMAGE_WORKERS="1", AUDIO_ADDRESS="", VIDEO_ADDRESS="") as mesh:
        yield mesh


def new_picture() -> bytes:
    return encoded(photo(next(_seeds), 160, 120), "JPEG")


class Library:
    """Pictures of one project, and what is found with the first of them."""

    def __init__(self, project: Project, origin: Origin) -> None:
        self.project, self._origin = project, origin
        self.url = self._serve()
        self.accepted = [project.index(self.url, name="first")]
        self.found = self.search()

    def search(self) -> Any:
        answer = self.project.post("/v1/search/image/url", url=self.url, threshold=0.9)
        assert answer.status == 200, answer
        return [(hit["asset_id"], hit["similarity"]) for hit in answer.json["results"]]

    def writes(self) -> list[Answer]:
        """One of each way in, with something new."""
        csv = f"url,media_type,name\n{self._serve()},image,row\n".encode()
        return [
            self.project.post("/v1/index/image/url", url=self._serve()),
            self.project.upload("/v1/index/image/upload", new_picture()),
            send_csv(self.project, csv),
            self.project.post("/v1/index/bulk/zip", url=self._serve()),
        ]

    def accept_another(self) -> None:
        """In any case; it need not be ready yet."""
        url = self._serve()
        self.accepted.append(until_accepted(lambda: self.project.post("/v1/index/image/url", url=url)).json["asset_id"])

    def check_whole(self) -> None:
        """All that was accepted is ready, and found as before."""
        for asset in self.accepted:
            assert self.project.until_done(asset)["status"] == "ready"
        assert [status for _, status in all_assets(self.project)] == ["ready"] * len(self.accepted)
        assert self.search() == self.found

    def _serve(self) -> str:
        return self._origin.serve(f"full-{next(_seeds)}.jpg", new_picture())


@pytest.fixture(scope="module")
def library(small: MeshOnSmallDisk, origin: Origin) -> Library:
    return Library(new_project(small), origin)


def fill_until_noticed(mesh: MeshOnSmallDisk) -> float:
    """How long that took. Until then what finds room within what the database holds may be accepted, and is kept."""
    times = mesh.log.count(NOTICED)
    mesh.fill_disk()
    filled = time.monotonic()
    wait_until(lambda: mesh.log.count(NOTICED) > times, PATIENCE_SECONDS)
    return time.monotonic() - filled


def check_refused(answers: list[Answer]) -> None:
    for answer in answers:
        assert (answer.status, answer.code) == (503, "not_available"), answer
        assert int(answer.headers["retry-after"]) > 0


def check_indexes(conninfo: str) -> None:
    """Each table has as many rows by its indexes as by itself."""
    with psycopg.connect(conninfo) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert "assets" in tables
        counts = []
        for by_index in (False, True):
            for scan, is_on in (("seqscan", not by_index), ("indexscan", by_index), ("indexonlyscan", by_index), ("bitmapscan", False)):
                connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(f"enable_{scan}"), is_on))
            counts.append(
                [connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone() for name in tables]
            )
        assert counts[0] == counts[1]


few_or_many = pytest.mark.parametrize(
    "rounds", [pytest.param(1, id="once"), pytest.param(10, id="10 rounds", marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)


@few_or_many
def test_full_disk_refuses_what_writes_and_goes_on_reading(small: MeshOnSmallDisk, library: Library, rounds: int) -> None:
    before = service(small, "index_svc").pid, small.postmaster
    for _ in range(rounds):
        for _ in range(3):
            library.accept_another()
        try:
            refused = fill_until_noticed(small)
            for _ in range(3):
                check_refused(library.writes())
                assert library.search() == library.found
                assert library.project.request("GET", "/v1/assets?limit=1").status == 200
                assert small.match(library.url, library.url).status == 200
            assert small.get("/readyz").status == 200
        finally:
            small.free_disk()
        freed = time.monotonic()
        library.accept_another()
        print(f"refused after {refused:.2f} s, accepted again after {time.monotonic() - freed:.2f} s")  # noqa: T201
        library.check_whole()
    assert (service(small, "index_svc").pid, small.postmaster) == before
    check_indexes(small.conninfo)


# Each leaves a file or two of the log, which are given back at the next checkpoint, minutes later: more would fill this disk by themselves.
@pytest.mark.parametrize(
    "rounds", [pytest.param(1, id="once"), pytest.param(5, id="5 rounds", marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_database_that_ended_for_a_full_disk_is_back_once_there_is_room(small: MeshOnSmallDisk, library: Library, rounds: int) -> None:
    before = service(small, "index_svc").pid
    for _ in range(rounds):
        for _ in range(3):
            library.accept_another()
        postmaster = small.postmaster
        small.fill_disk()
        try:
            fill_log(small.conninfo)
            wait_until(lambda: small.get("/readyz").status == 503, PATIENCE_SECONDS)
            check_refused(library.writes())
            assert small.match(library.url, library.url).status == 200
        finally:
            small.free_disk()
        freed = time.monotonic()
        wait_until(lambda: small.get("/readyz").status == 200, PATIENCE_SECONDS)
        print(f"ready again after {time.monotonic() - freed:.2f} s")  # noqa: T201
        assert small.postmaster != postmaster
        library.accept_another()
        library.check_whole()
    assert service(small, "index_svc").pid == before
    check_indexes(small.conninfo)


def fill_log(conninfo: str) -> None:
    """Until PostgreSQL has no room for its log, and ends for that."""
    with pytest.raises(psycopg.OperationalError), psycopg.connect(conninfo, autocommit=True) as connection:
        while True:
            connection.execute("SELECT pg_logical_emit_message(false, 'drill', repeat('x', 1000000))")
