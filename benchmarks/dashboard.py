"""Draws the dashboard of k8s/monitoring from a real run: two replicas of every service, a Prometheus that scrapes them and keeps the alert
rules, and a few minutes of work, mistakes, a restart, a crash and a rush. Needs `prometheus` (Debian has it).

python -m benchmarks.dashboard docs/dashboard.svg
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
import yaml

from benchmarks.dashboard_picture import Series, draw
from benchmarks.load import Kind, make_kind
from benchmarks.load_origin import LoadOrigin
from tests.index_client import Project, new_project
from tests.kustomize import K8S, load
from tests.pictures import encoded, photo
from tests.replicas import SERVICES, ReplicatedMesh
from tests.running_mesh import free_port

SCRAPE_SECONDS: Final = 2
RATE_WINDOW: Final = f"{5 * SCRAPE_SECONDS}s"
LIMIT_PER_SECOND: Final = 20
PATIENCE_SECONDS: Final = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="where the SVG goes")
    parser.add_argument("--seconds", type=float, default=150.0, help="of the run (150)")
    arguments = parser.parse_args()
    if shutil.which("prometheus") is None:
        sys.exit("there is no prometheus on this machine")
    (dashboard,) = load(K8S / "monitoring/dashboard.yaml")
    panels = json.loads(dashboard["data"]["mediamesh.json"])["panels"]
    limits = {"RATE_LIMIT_ADDRESS_PER_SECOND": str(LIMIT_PER_SECOND), "RATE_LIMIT_ADDRESS_BURST_SECONDS": "2"}
    with tempfile.TemporaryDirectory() as folder, ReplicatedMesh(Path(folder), **limits) as mesh:
        answers, alerts = asyncio.run(observe(mesh, Path(folder), panels, arguments.seconds))
    title = f"mediamesh, {datetime.now(UTC):%Y-%m-%d}: two replicas of every service on one machine"
    arguments.picture.write_text(draw(panels, answers, arguments.seconds, title))
    empty = [panel["title"] for panel in panels if panel["type"] != "row" and not answers[panel["id"]]]
    print(f"{len(answers)} panels, without data: {', '.join(empty) or 'none'}; alerts: {', '.join(alerts) or 'none'}")


async def observe(mesh: ReplicatedMesh, folder: Path, panels: Sequence[Any], seconds: float) -> tuple[dict[int, Series], list[str]]:
    address = f"127.0.0.1:{free_port()}"
    process = start_prometheus(mesh, folder, address)
    try:
        async with aiohttp.ClientSession(f"http://{address}", connector=aiohttp.TCPConnector(limit=0)) as prometheus:
            await until(lambda: is_scraping(prometheus), "prometheus does not scrape every replica")
            started = await Run(mesh, seconds).go()
            await asyncio.sleep(max(0.0, started + seconds - time.time()))
            answers = {panel["id"]: await ask(prometheus, panel, started, seconds) for panel in panels if panel["type"] != "row"}
            async with prometheus.get("/api/v1/alerts") as response:
                said = (await response.json())["data"]["alerts"]
            return answers, [f"{alert['labels']['alertname']} {alert['state']}" for alert in said]
    finally:
        process.terminate()
        process.wait()


def start_prometheus(mesh: ReplicatedMesh, folder: Path, address: str) -> subprocess.Popen[bytes]:
    """One that knows every replica by its service's name, as the ServiceMonitor has it, and the alert rules."""
    (rules,) = load(K8S / "monitoring/alerts.yaml")
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules["spec"]))
    targets = [{"targets": [f"127.0.0.1:{port}" for port in mesh.metrics_ports(name)], "labels": {"service": name}} for name in SERVICES]
    configuration = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "mediamesh", "static_configs": targets}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    command = ["prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    return subprocess.Popen(
        [*command, f"--web.listen-address={address}", "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


async def is_scraping(prometheus: aiohttp.ClientSession) -> bool:
    try:
        async with prometheus.get("/api/v1/query", params={"query": "count(up == 1)"}) as response:
            found = (await response.json())["data"]["result"]
    except (aiohttp.ClientError, json.JSONDecodeError):
        return False
    return bool(found) and int(found[0]["value"][1]) == len(SERVICES) * ReplicatedMesh.COUNT


async def until(is_so: Callable[[], Awaitable[bool]], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        await asyncio.sleep(0.2)


async def ask(prometheus: aiohttp.ClientSession, panel: Any, started: float, seconds: float) -> Series:
    """What the panel shows of the run."""
    series = []
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", RATE_WINDOW).replace("$__range", f"{seconds:.0f}s")
        parameters = {"query": query, "start": f"{started:.3f}", "end": f"{started + seconds:.3f}", "step": str(SCRAPE_SECONDS)}
        async with prometheus.get("/api/v1/query_range", params=parameters) as response:
            body = await response.json()
        if body["status"] != "success":
            raise ValueError(f"{panel['title']}: {body['error']}")
        for one in body["data"]["result"]:
            points = [(moment - started, float(value)) for moment, value in one["values"] if value != "NaN"]
            if points:
                series.append((named(target["legendFormat"], one["metric"]), points))
    return series


def named(pattern: str, labels: dict[str, str]) -> str:
    """As Grafana fills in a legend."""
    for label, value in labels.items():
        pattern = pattern.replace("{{" + label + "}}", value)
    return pattern


class Run:
    """What happens, by shares of the whole time."""

    def __init__(self, mesh: ReplicatedMesh, seconds: float) -> None:
        self._mesh, self._seconds = mesh, seconds
        self._door = 0

    async def go(self) -> float:
        """When it began, by the clock."""
        project = await asyncio.to_thread(new_project, self._mesh)
        async with LoadOrigin() as origin, aiohttp.ClientSession() as session:
            self._session = session
            names = ("image-cold", "image-cached", "image-cold", "audio-cold", "video-cold")
            kinds = [make_kind(name, origin, self._mesh) for name in names]
            started = time.time()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_asking(kinds, 0.0, 0.9))
                group.create_task(self._index_and_search(project, origin))
                group.create_task(self._make_mistakes(0.15, 0.85))
                group.create_task(self._restart_and_crash())
                group.create_task(self._rush(origin))
            return started

    async def _at(self, share: float) -> None:
        await asyncio.sleep(share * self._seconds)

    async def _keep_asking(self, kinds: Sequence[Kind], begin: float, end: float) -> None:
        await self._at(begin)
        stop = time.monotonic() + (end - begin) * self._seconds
        while time.monotonic() < stop:
            for kind in kinds:
                await self._post(kind.path, next(kind.bodies))

    async def _index_and_search(self, project: Project, origin: LoadOrigin) -> None:
        await self._at(0.1)
        urls = [origin.serve(encoded(photo(900 + number), "JPEG"), ".jpg") for number in range(40)]
        key = {"Authorization": f"Bearer {project.key}"}
        for url in urls:
            await self._post("/v1/index/image/url", {"url": url, "name": url.rsplit("/", 1)[1]}, key)
        await self._at(0.1)
        for url in urls * 4:
            await self._post("/v1/search/image/url", {"url": f"{url}?{time.monotonic_ns()}"}, key)
            await self._at(0.003)

    async def _make_mistakes(self, begin: float, end: float) -> None:
        await self._at(begin)
        stop = time.monotonic() + (end - begin) * self._seconds
        wrong = (
            "http://127.0.0.1:1/away.jpg",
            "http://10.0.0.1/private.jpg",
            "ftp://127.0.0.1/x",
            f"http://127.0.0.1:{self._mesh.port}/healthz",
        )
        while time.monotonic() < stop:
            for url in wrong:
                await self._post("/image/match", {"source_url": url, "target_url": url})
                await self._at(0.004)

    async def _restart_and_crash(self) -> None:
        """An index replica is told to stop, and the workers of one that decodes images are killed."""
        await self._at(0.4)
        index = await asyncio.to_thread(self._mesh.replica, "index", 1)
        image = await asyncio.to_thread(self._mesh.replica, "image", 0)
        if index is None or image is None:
            raise RuntimeError("a replica is gone")
        index.terminate()
        await self._at(0.1)
        for child in image.children(recursive=True):
            if child.parent() != image and psutil.pid_exists(child.pid):
                child.send_signal(signal.SIGKILL)

    async def _rush(self, origin: LoadOrigin) -> None:
        """More than one address may ask."""
        await self._at(0.7)
        kind = make_kind("image-cached", origin, self._mesh)
        async with asyncio.TaskGroup() as group:
            for _ in range(int(4 * LIMIT_PER_SECOND * 0.08 * self._seconds)):
                group.create_task(self._post("/image/match", next(kind.bodies)))
                await asyncio.sleep(1 / (4 * LIMIT_PER_SECOND))

    async def _post(self, path: str, body: dict[str, str], headers: dict[str, str] | None = None) -> None:
        """At the gateways in turns; whatever comes of it is the dashboard's to tell."""
        self._door = (self._door + 1) % len(self._mesh.doors)
        try:
            async with self._session.post(self._mesh.doors[self._door] + path, json=body, headers=headers) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            return


if __name__ == "__main__":
    main()
