"""A client of bulk jobs on a running mesh."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.index_client import PATIENCE_SECONDS, Project
from tests.running_mesh import Answer


def send_csv(project: Project, content: bytes, content_type: str = "text/csv", **headers: str) -> Answer:
    sent = {"Authorization": f"Bearer {project.key}", "Content-Type": content_type, **headers}
    return project.mesh.request("POST", "/v1/index/bulk/csv", content, sent)


def csv_job(project: Project, content: bytes) -> Any:
    """The job, once all of its rows are ready or failed."""
    accepted = send_csv(project, content)
    assert accepted.status == 202, accepted.body
    return until_over(project, accepted.json["job_id"])


def zip_job(project: Project, url: str) -> Any:
    """The job, once all of its files are ready or failed."""
    accepted = project.post("/v1/index/bulk/zip", url=url)
    assert accepted.status == 202, accepted.body
    return until_over(project, accepted.json["job_id"])


def until_over(project: Project, job: str, patience_seconds: float = PATIENCE_SECONDS) -> Any:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        answer = project.request("GET", f"/v1/jobs/{job}")
        if answer.status == 200 and answer.json["status"] not in ("pending", "processing"):
            return answer.json
        time.sleep(0.05)
    raise TimeoutError(answer.body)


def wait_until(is_so: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + patience_seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows_of(project: Project, job: str, query: str = "limit=1000") -> list[dict[str, Any]]:
    """The whole report, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = project.request("GET", f"/v1/jobs/{job}/rows?{query}{cursor}").json
        rows += page["rows"]
        if page["next_cursor"] is None:
            return rows
        cursor = f"&cursor={page['next_cursor']}"


def outcomes(project: Project, job: str) -> list[tuple[int | None, str | None, str]]:
    """The line, the file, and the status or the code of each row."""
    return [(row["line"], row["file"], row["error"]["code"] if row["error"] else row["status"]) for row in rows_of(project, job)]
