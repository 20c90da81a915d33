"""The admin commands about versions: how many assets there are of each, and fingerprinting again what is old."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import grpc

from mesh import call, client
from mesh.wire import media_type_from_proto
from protos import index_pb2, index_pb2_grpc

_START_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 1.0
_PAGE: Final = 1000


def add_version_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """`add` takes a name, a coroutine function and a text."""
    text = "count ready assets by the algorithm and version of their fingerprints"
    add("versions", _on(_versions), text, in_project=False).add_argument("project", nargs="?", default="", help="its id; else all projects")
    text = "fingerprint again what is of another version than its matcher makes now, and show how far that is"
    again = add("refingerprint", _on(_refingerprint), text, in_project=False)
    again.add_argument("project", nargs="?", default="", help="its id; else all projects")
    again.add_argument("--no-wait", action="store_true", help="only start the jobs")


def _on(command: Callable[[Any, argparse.Namespace], Any]) -> Callable[[grpc.aio.Channel, argparse.Namespace], Any]:
    return lambda channel, options: command(index_pb2_grpc.IndexServiceStub(channel), options)


async def _versions(stub: Any, options: argparse.Namespace) -> None:
    call.begin(None, _START_SECONDS)
    for found in (await client.ask(stub.ListVersions, index_pb2.ListVersionsRequest(project_id=options.project))).versions:
        state = "" if not found.HasField("is_current") else "  current" if found.is_current else "  old"
        medium = "sound" if found.through and found.through != found.media_type else media_type_from_proto(found.media_type)
        print(f"{medium:6} {found.algorithm or 'none':24} {found.version:>4} {found.assets:>14,}{state}")


async def _refingerprint(stub: Any, options: argparse.Namespace) -> None:
    """The jobs of all projects are started first."""
    projects = [options.project]
    if not options.project:
        projects = [project.id for project in (await client.ask(stub.ListProjects, index_pb2.ListProjectsRequest())).projects]
    jobs: dict[str, index_pb2.Job] = {}
    for project in projects:
        call.begin(None, _START_SECONDS)
        started = await client.ask(stub.RefingerprintAssets, index_pb2.RefingerprintAssetsRequest(project_id=project))
        if started.HasField("job"):
            jobs[project] = started.job
            print(f"project {project}: job {started.job.id}, {started.job.progress.total:,} assets", flush=True)
    if not jobs:
        print("nothing is old")
    if options.no_wait:
        return
    for project, job in jobs.items():
        await _until_over(stub, project, job)
        for code, (count, message) in (await _failures(stub, project, job.id)).items():
            print(f"    {count:,} {code}: {message}")


async def _until_over(stub: Any, project: str, job: index_pb2.Job) -> None:
    shown = -1
    while True:
        call.begin(None, None)
        job = (await client.ask(stub.GetJob, index_pb2.GetJobRequest(project_id=project, job_id=job.id))).job
        progress = job.progress
        is_over = job.is_cancelled or not progress.pending + progress.processing
        if progress.ready + progress.failed != shown or is_over:
            shown = progress.ready + progress.failed
            state = " (cancelled)" if job.is_cancelled else ""
            print(f"project {project}: {progress.ready:,} of {progress.total:,} done, {progress.failed:,} failed{state}", flush=True)
        if is_over:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _failures(stub: Any, project: str, job: str) -> dict[str, tuple[int, str]]:
    """By their code: how many, and what one of them says."""
    counts: Counter[str] = Counter()
    messages: dict[str, str] = {}
    request = index_pb2.ListJobRowsRequest(project_id=project, job_id=job, limit=_PAGE, status=index_pb2.ASSET_STATUS_FAILED)
    while True:
        call.begin(None, None)
        page = await client.ask(stub.ListJobRows, request)
        for row in page.rows:
            counts[row.error_code] += 1
            messages.setdefault(row.error_code, row.error_message)
        if not page.next_cursor:
            return {code: (count, messages[code]) for code, count in counts.most_common()}
        request.cursor = page.next_cursor
