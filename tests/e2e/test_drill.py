"""The drill: services killed at random points of an ingest, the database away for a while; what was accepted ends once."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from index_svc.cursors import cursor_of
from index_svc.embedded import EmbeddedPostgres
from tests.archives import Member, manifest_of, zipped
from tests.bulk import rows_of, send_csv, until_over, wait_until
from tests.index_client import Project, new_project
from tests.integration.index_svc.conftest import RunningPostgres
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import Answer, RunningMesh

PATIENCE_SECONDS = 300.0
BATCH = 5
CODES = {"not_available", "overloaded", "deadline_exceeded"}


@pytest.fixture
def drilled(tmp_path: Path) -> Iterator[RunningMesh]:
    with RunningMesh(tmp_path, IMAGE_WORKERS="1", AUDIO_ADDRESS="", GATEWAY_MATCH_SECONDS="5") as mesh:
        yield mesh


def service(mesh: RunningMesh, module: str) -> psutil.Process:
    """Once there is one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for child in psutil.Process(mesh.process.pid).children():
            try:
                if child.cmdline()[-1:] == [module]:
                    return child
            except psutil.Error:
                continue
    raise TimeoutError(module)


def until_accepted(send: Callable[[], Answer]) -> Answer:
    """Sent as often as it takes; whatever goes wrong in between has a code."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := send()).status != 202:
        assert answer.code in CODES, answer
        assert answer.status in (503, 504)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def all_assets(project: Project) -> list[tuple[str, str]]:
    """The name and the status of each asset of the project."""
    found, cursor = [], ""
    while True:
        page = project.request("GET", f"/v1/assets?limit=100{cursor}").json
        found += [(asset["name"], asset["status"]) for asset in page["assets"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


class Ingest:
    """Batches of pictures of one project, handed in each way that there is; the same batch again changes nothing."""

    def __init__(self, project: Project, origin: Origin) -> None:
        self._project, self._origin = project, origin
        self.names: list[str] = []

    def send(self, number: int) -> list[str]:
        """The jobs of the batch."""
        names = [f"p{number * BATCH + at}" for at in range(BATCH)]
        pictures = [encoded(photo(10_000 + int(name[1:]), 160, 120), "JPEG") for name in names]
        urls = [self._origin.serve(f"{name}.jpg", picture) for name, picture in zip(names, pictures, strict=True)]
        self.names += names
        key, project = f"batch-{number}", self._project
        if number % 3 == 0:
            rows = "\n".join(f"{url},image,{name}" for url, name in zip(urls, names, strict=True))
            return [until_accepted(lambda: send_csv(project, rows.encode(), **{"Idempotency-Key": key})).json["job_id"]]
        headers = {"Authorization": f"Bearer {project.key}", "Idempotency-Key": key}
        if number % 3 == 1:
            manifest = Member("manifest.csv", manifest_of(f"{name}.jpg,image,{name}" for name in names))
            files = [Member(f"{name}.jpg", picture) for name, picture in zip(names, pictures, strict=True)]
            archive = self._origin.serve(f"{key}.zip", zipped(manifest, *files))
            return [until_accepted(lambda: project.mesh.post("/v1/index/bulk/zip", {"url": archive}, **headers)).json["job_id"]]
        jobs = []
        for url, name in zip(urls, names, strict=True):
            sent = {**headers, "Idempotency-Key": f"{key}-{name}"}
            body = {"url": url, "name": name}
            jobs.append(until_accepted(lambda body=body, sent=sent: project.mesh.post("/v1/index/image/url", body, **sent)).json["job_id"])  # type: ignore[misc]
        return jobs


@pytest.mark.parametrize(
    "kills", [pytest.param(3, id="few"), pytest.param(100, id="many", marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_whatever_is_killed_when_each_accepted_asset_ends_once(drilled: RunningMesh, origin: Origin, kills: int) -> None:
    project, dice = new_project(drilled), random.Random(kills)
    ingest = Ingest(project, origin)
    jobs: list[str] = []
    for number in range(kills):
        jobs += ingest.send(number)
        time.sleep(dice.random())  # the point is that it is any
        service(drilled, dice.choice(["index_svc", "image_svc"])).kill()
    done = [until_over(project, job, PATIENCE_SECONDS) for job in jobs]
    assert {job["status"] for job in done} == {"ready"}
    assert Counter(all_assets(project)) == {(name, "ready"): 1 for name in ingest.names}
    assert sum(job["progress"]["ready"] for job in done) == len(ingest.names) == kills * BATCH
    last = ingest.names[-1]
    (hit,) = project.search(origin.url(f"{last}.jpg"), threshold=1.0)
    assert hit["name"] == last


@pytest.mark.parametrize(
    ("rows", "kills"),
    [pytest.param(6000, 2, id="few"), pytest.param(100_000, 10, id="many", marks=[pytest.mark.long, pytest.mark.timeout(1800)])],
)
def test_index_that_is_killed_while_it_reads_a_file_goes_on_behind_what_it_read(tmp_path: Path, rows: int, kills: int) -> None:
    content = b"url,media_type,name\n" + b"".join(b"http://10.0.0.1/%d.jpg,image,%d\n" % (number, number) for number in range(rows))
    with RunningMesh(tmp_path, IMAGE_WORKERS="1", AUDIO_ADDRESS="", INDEX_JOBS="1") as mesh:
        project, dice = new_project(mesh), random.Random(rows)
        job = send_csv(project, content).json["job_id"]
        for _ in range(kills):
            time.sleep(dice.random())
            service(mesh, "index_svc").kill()
        wait_until(lambda: has_row(project, job, rows + 1), PATIENCE_SECONDS)
        assert [row["line"] for row in rows_of(project, job)] == list(range(2, rows + 2))
        progress = project.request("GET", f"/v1/jobs/{job}").json["progress"]
        assert progress["total"] == rows == sum(progress[status] for status in ("pending", "processing", "ready", "failed"))


def has_row(project: Project, job: str, line: int) -> bool:
    """Whether the file is read as far as this line."""
    answer = project.request("GET", f"/v1/jobs/{job}/rows?limit=1&cursor={cursor_of(line - 1)}")
    return answer.status == 200 and bool(answer.json["rows"])


for_so_long = pytest.mark.parametrize(
    "away_seconds",
    [pytest.param(seconds, id=f"{seconds:.0f} s", marks=[pytest.mark.long, pytest.mark.timeout(300)]) for seconds in (3.0, 10.0)],
)
"""Shorter, and with more who ask, in test_database_faults.py."""


@for_so_long
def test_database_that_is_away_costs_coded_errors_and_nothing_else(tmp_path: Path, origin: Origin, away_seconds: float) -> None:
    (tmp_path / "mesh").mkdir()
    embedded = EmbeddedPostgres(tmp_path / "pg" / "database" / "18", tmp_path / "pg" / "db")
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(RunningPostgres(embedded))
        environment = {"IMAGE_WORKERS": "1", "AUDIO_ADDRESS": "", "DATABASE_URL": embedded.conninfo}
        mesh = second.enter_context(RunningMesh(tmp_path / "mesh", **environment))
        project = new_project(mesh)
        ingest = Ingest(project, origin)
        jobs = [job for number in range(6) for job in ingest.send(number)]
        before = service(mesh, "index_svc").pid
        first.close()
        back = time.monotonic() + away_seconds
        answers = []
        while time.monotonic() < back:
            answers.append(project.request("GET", "/v1/assets?limit=1"))
            assert int(answers[-1].headers["retry-after"]) > 0
        assert {(answer.status, answer.code) for answer in answers} == {(503, "not_available")}
        first.enter_context(RunningPostgres(embedded))
        jobs += ingest.send(6)
        assert {until_over(project, job, PATIENCE_SECONDS)["status"] for job in jobs} == {"ready"}
        assert Counter(all_assets(project)) == {(name, "ready"): 1 for name in ingest.names}
        assert service(mesh, "index_svc").pid == before


@for_so_long
def test_database_that_stands_still_costs_coded_errors_and_goes_on(tmp_path: Path, origin: Origin, away_seconds: float) -> None:
    with RunningMesh(tmp_path, IMAGE_WORKERS="1", AUDIO_ADDRESS="", GATEWAY_MATCH_SECONDS="3") as mesh:
        project = new_project(mesh)
        ingest = Ingest(project, origin)
        jobs = ingest.send(0)
        before = service(mesh, "index_svc").pid
        postmaster = psutil.Process(int((tmp_path / "database" / "18" / "postmaster.pid").read_text().splitlines()[0]))
        stopped = [postmaster, *postmaster.children()]
        for process in stopped:
            process.suspend()
        answers = []
        back = time.monotonic() + away_seconds
        while time.monotonic() < back:
            answers.append(project.request("GET", "/v1/assets?limit=1"))
        for process in stopped:
            process.resume()
        assert {answer.code for answer in answers} <= CODES
        assert {answer.status for answer in answers} <= {503, 504}
        jobs += ingest.send(1)
        assert {until_over(project, job, PATIENCE_SECONDS)["status"] for job in jobs} == {"ready"}
        assert Counter(all_assets(project)) == {(name, "ready"): 1 for name in ingest.names}
        assert service(mesh, "index_svc").pid == before
