"""The processes of a running mesh, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import psutil

from tests.running_mesh import RunningMesh

T = TypeVar("T")


def services(mesh: RunningMesh) -> dict[str, psutil.Process]:
    """Those that the mesh started, by their module."""
    return {child.cmdline()[-1]: child for child in psutil.Process(mesh.process.pid).children()}


def service(mesh: RunningMesh, module: str) -> psutil.Process:
    return services(mesh)[module]


def workers(mesh: RunningMesh, module: str) -> list[psutil.Process]:
    """The processes that a service's decoders run in."""
    (nursery,) = service(mesh, module).children()
    return nursery.children()


class PeakMemory:
    """How much a process has grown at most while this was entered."""

    def __init__(self, process: psutil.Process) -> None:
        self._status = Path(f"/proc/{process.pid}/status")
        self._reset = Path(f"/proc/{process.pid}/clear_refs")

    def __enter__(self) -> Self:
        self._reset.write_text("5")  # proc(5): sets the peak to what is in use now
        self._before = self._read("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.growth_bytes = self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        return next(int(line.split()[1]) * 1024 for line in self._status.read_text().splitlines() if line.startswith(f"{name}:"))


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """What they have spent together so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


@dataclass(frozen=True)
class Cost:
    """What a service's decoders have spent on something."""

    cpu_seconds: float
    growth_bytes: int


def cost_of(mesh: RunningMesh, ask: Callable[[], T], module: str = "image_svc") -> tuple[T, Cost]:
    """The outcome, and what it took; no worker may die of it."""
    crashes = mesh.log.count("ended its worker")
    while True:
        decoders = workers(mesh, module)
        peaks = [PeakMemory(worker).__enter__() for worker in decoders]
        spent = cpu_seconds(decoders)
        outcome = ask()
        assert mesh.log.count("ended its worker") == crashes
        if workers(mesh, module) == decoders:
            break
        # One has done its number of tasks and retired: once more, with its successor.
    for peak in peaks:
        peak.__exit__()
    return outcome, Cost(cpu_seconds(decoders) - spent, max(peak.growth_bytes for peak in peaks))
