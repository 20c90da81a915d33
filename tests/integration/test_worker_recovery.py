"""A pool whose processes are killed under it, and a pool whose service is; on both event loops, as services run on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mesh.errors import MeshError, NotAvailable, UnsupportedMedia
from mesh.workers import WorkerPool

LIMIT_SECONDS = 20.0

SERVICE = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import {__name__.rpartition(".")[2]} as test
asyncio.run(test.serve_until_killed())
"""

Run = Callable[[Coroutine[Any, Any, None]], None]
on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


def warm_up() -> None:
    """Nothing to warm up."""


def own_pid() -> int:
    return os.getpid()


def spin() -> int:
    return sum(itertools.repeat(1, 1 << 62))


def survive_unless_third(number: int) -> int:
    if number % 3 == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


def make_pool() -> WorkerPool:
    return WorkerPool("test", workers=2, max_waiting=8, memory_bytes=64 << 20, warm_up=warm_up, preload=[__name__])


async def serve_until_killed() -> None:
    async with make_pool() as pool:
        spinning = asyncio.create_task(pool.run(spin, cpu_seconds=LIMIT_SECONDS))
        await pool.run(own_pid, cpu_seconds=LIMIT_SECONDS)
        os.write(1, b"up\n")
        await spinning


async def pid_as_soon_as_available(pool: WorkerPool) -> int:
    while True:
        with contextlib.suppress(NotAvailable):
            return await pool.run(own_pid, cpu_seconds=LIMIT_SECONDS)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def nursery() -> int:
    (pid,) = [child for child in children(os.getpid()) if b"mesh.nursery" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return pid


def end(pid: int, kill: bool = True) -> None:
    """Returns when the process has ended, whether or not its parent has asked after it."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        if kill:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        ended, _, _ = select.select([process], [], [], 5)
        os.close(process)
        assert ended, f"{pid} lives on"


@on_both_loops
def test_a_worker_killed_while_idle_is_replaced(run: Run) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            for _ in range(10):
                pid = await pool.run(own_pid, cpu_seconds=LIMIT_SECONDS)
                end(pid)
                assert pid not in [await pid_as_soon_as_available(pool) for _ in range(3)]

    run(scenario())


@on_both_loops
def test_the_pool_recovers_when_its_nursery_is_killed(run: Run) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            for _ in range(3):
                spinning = asyncio.create_task(pool.run(spin, cpu_seconds=LIMIT_SECONDS))
                await pool.run(own_pid, cpu_seconds=LIMIT_SECONDS)
                killed = nursery()
                workers = children(killed)
                end(killed)
                with pytest.raises(NotAvailable):
                    await spinning
                started = time.monotonic()
                assert await pid_as_soon_as_available(pool) not in workers
                assert time.monotonic() - started < LIMIT_SECONDS
                for worker in workers:
                    end(worker, kill=False)

    run(scenario())


@on_both_loops
def test_the_pool_recovers_when_its_nursery_is_killed_while_workers_are_born(run: Run) -> None:
    async def scenario() -> None:
        async with make_pool() as pool, asyncio.timeout(LIMIT_SECONDS):
            for _ in range(10):
                end(await pid_as_soon_as_available(pool))
                await asyncio.sleep(0)
                end(nursery())
            assert len({await pid_as_soon_as_available(pool) for _ in range(10)}) <= 2

    run(scenario())


@on_both_loops
def test_crashes_among_many_tasks_cost_exactly_those_tasks(run: Run) -> None:
    async def scenario() -> None:
        numbers = iter(range(300))
        async with make_pool() as pool:

            async def result_of(number: int) -> int | str:
                try:
                    return await pool.run(survive_unless_third, number, cpu_seconds=LIMIT_SECONDS)
                except UnsupportedMedia as error:
                    return error.message

            async def caller() -> list[tuple[int, int | str]]:
                return [(number, await result_of(number)) for number in numbers]

            for number, result in itertools.chain(*await asyncio.gather(*(caller() for _ in range(8)))):
                assert result == ("crashed its decoder (SIGSEGV)" if number % 3 == 0 else number)
            assert (pool.running, pool.waiting) == (0, 0)

    run(scenario())


@on_both_loops
def test_no_process_and_no_open_file_is_left_behind_by_trouble(run: Run) -> None:
    dice = random.Random(1)

    async def scenario() -> None:
        before = len(os.listdir("/proc/self/fd"))
        async with make_pool() as pool:
            for _ in range(60):
                task = asyncio.create_task(pool.run(dice.choice([spin, own_pid]), cpu_seconds=dice.choice([0.01, 0.02])))
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                if dice.random() < 0.5:
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert task.cancelled() or isinstance(task.exception(), MeshError | None)
            assert await pool.run(own_pid, cpu_seconds=LIMIT_SECONDS)
            assert len(children(nursery())) <= 2
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) == before

    run(scenario())


def test_workers_die_with_a_service_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"up\n"
        (its_nursery,) = children(service.pid)
        workers = children(its_nursery)
        service.kill()
    assert len(workers) == 2
    for process in (its_nursery, *workers):
        end(process, kill=False)
