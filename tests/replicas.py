"""A mesh of several replicas a service, and a client of it: it takes the gateways in turns, leaves out those that say they are not ready,
and never asks twice."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import aiohttp
import psutil

from mesh.replicas import METRICS_STEP
from tests.running_mesh import RunningMesh, free_port

SERVICES = ("gateway", "image", "video", "audio", "fetcher", "index")
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 60.0


class ReplicatedMesh(RunningMesh):
    """Two replicas of every service."""

    COUNT = 2

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self._metrics = {service: free_ports(METRICS_STEP * self.COUNT, METRICS_STEP) for service in SERVICES}
        ports = {f"{service.upper()}_METRICS_PORT": str(port) for service, port in self._metrics.items()}
        workers = {f"{medium}_WORKERS": "1" for medium in ("IMAGE", "VIDEO", "AUDIO")}
        super().__init__(data_dir, REPLICAS=str(self.COUNT), LAME_DUCK_SECONDS="1", **{**ports, **workers, **environment})
        self.port = free_ports(self.COUNT)

    @property
    def doors(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port + number}" for number in range(self.COUNT)]

    def socket_of(self, service: str, number: int) -> Path:
        return self.data_dir / "run" / (f"{service}.sock" if number == 0 else f"{service}-{number + 1}.sock")

    def replica(self, service: str, number: int) -> psutil.Process | None:
        """The one that runs now."""
        module = service if service == "gateway" else f"{service}_svc"
        where = ("GATEWAY_PORT", str(self.port + number))
        if service != "gateway":
            where = (f"{service.upper()}_LISTEN", f"unix:{self.socket_of(service, number).name}")
        for child in psutil.Process(self.process.pid).children():
            try:
                if child.cmdline()[-1:] == [module] and child.environ().get(where[0]) == where[1]:
                    return child
            except psutil.Error:
                continue
        return None

    def is_served(self, service: str, number: int) -> bool:
        """Whether it is ready for calls."""
        if service == "gateway":
            try:
                with urlopen(f"{self.doors[number]}/readyz", timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket_of(service, number))) == 0

    async def until_back(self, service: str, number: int, before: psutil.Process) -> None:
        """Another process has taken the place of this one, and is ready."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            now = await asyncio.to_thread(self.replica, service, number)
            if now not in (None, before) and await asyncio.to_thread(self.is_served, service, number):
                return
            assert time.monotonic() < deadline, f"{service} {number} did not come back"
            await asyncio.sleep(LOOK_SECONDS)

    def metrics_ports(self, service: str) -> list[int]:
        """Of each replica."""
        return [self._metrics[service] + METRICS_STEP * number for number in range(self.COUNT)]

    def calls(self, service: str, methods: Iterable[str]) -> list[float]:
        """How many of them each replica has answered."""
        return [sum(_metric(port, "mediamesh_calls_total", method) for method in methods) for port in self.metrics_ports(service)]


def _metric(port: int, name: str, method: str) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{") and f'method="{method}"' in line)


def free_ports(span: int, step: int = 1) -> int:
    """The first of so many, each a step after the other, that are all free."""
    while True:
        first = free_port()
        try:
            for port in range(first, first + span, step):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


@dataclass(frozen=True, eq=False)
class Ask:
    """A request."""

    method: str
    path: str
    body: dict[str, object] | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    ask: Ask
    moment: float
    status: int
    body: Any
    """0 and None where there was no answer."""
    retry_after: str | None

    @property
    def said(self) -> Any:
        """But for what is another each time."""
        return {key: value for key, value in self.body.items() if key != "processing_time_ms"} if isinstance(self.body, dict) else self.body


class Client:
    """Enter it to have the gateways watched."""

    def __init__(self, doors: Sequence[str]) -> None:
        self._doors = doors
        self._is_ready = dict.fromkeys(doors, True)
        self._turns = itertools.cycle(doors)
        self.outcomes: list[Outcome] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=35))
        self._watchers = [asyncio.create_task(self._watch(door)) for door in self._doors]
        return self

    async def __aexit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await self._session.close()

    async def ask(self, ask: Ask) -> Outcome:
        """At the next gateway that is ready, once."""
        door = next((door for door in itertools.islice(self._turns, len(self._doors)) if self._is_ready[door]), next(self._turns))
        started = time.monotonic()
        try:
            async with self._session.request(ask.method, door + ask.path, json=ask.body, headers=dict(ask.headers)) as answer:
                outcome = Outcome(ask, started, answer.status, await answer.json(), answer.headers.get("Retry-After"))
        except aiohttp.ClientError:
            self._is_ready[door] = False
            outcome = Outcome(ask, started, 0, None, None)
        self.outcomes.append(outcome)
        return outcome

    async def ask_at_rate(self, asks: Sequence[Ask], per_second: float, is_over: asyncio.Event) -> None:
        """One after another at a steady rate, however long each takes, until it is over and all are answered."""
        under_way: set[asyncio.Task[Outcome]] = set()
        due = time.monotonic()
        for ask in itertools.cycle(asks):
            if is_over.is_set():
                break
            task = asyncio.create_task(self.ask(ask))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)

    async def saturation(self, asks: Sequence[Ask], seconds: float, at_once: int = 8) -> float:
        """Requests a second that are answered when the next is sent as soon as one is."""
        count, end = 0, time.monotonic() + seconds
        turns = itertools.cycle(asks)

        async def go_on() -> None:
            nonlocal count
            while time.monotonic() < end:
                await self.ask(next(turns))
                count += 1

        await asyncio.gather(*(go_on() for _ in range(at_once)))
        return count / seconds

    async def _watch(self, door: str) -> None:
        while True:
            try:
                async with self._session.get(f"{door}/readyz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                    self._is_ready[door] = answer.status == 200
            except (aiohttp.ClientError, TimeoutError):
                self._is_ready[door] = False
            await asyncio.sleep(LOOK_SECONDS)
