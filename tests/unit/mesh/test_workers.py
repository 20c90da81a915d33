"""The pool as its callers see it; every test runs real worker processes. The functions on top are what runs in them."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh.errors import DeadlineExceeded, FileTooLarge, Internal, MeshError, NotAvailable, Overloaded, UnsupportedMedia
from mesh.media_file import MediaFile
from mesh.workers import WorkerPool

LONG_SECONDS = 30.0

warmed_up_in = 0


@dataclass(frozen=True, slots=True)
class Answer:
    value: float


class Order:
    """Would run a command wherever it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("exit 7",)


def warm_up() -> None:
    global warmed_up_in  # noqa: PLW0603
    warmed_up_in = os.getpid()


def warm_up_badly() -> None:
    raise LookupError("no such model")


def warm_up_with_a_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def own_pid() -> int:
    return os.getpid()


def where_warmed_up() -> int:
    return warmed_up_in


def add(left: float, right: float) -> Answer:
    return Answer(left + right)


def mean(values: list[float]) -> Any:
    return np.mean(values)


def length_of_file(path: str) -> int:
    return len(Path(path).read_bytes())


def lengths(paths: Mapping[str, Sequence[str]]) -> list[int]:
    return [length_of_file(path) for path in paths["all"]]


def spin() -> int:
    """In C, deaf to every signal that can be caught."""
    return sum(itertools.repeat(1, 1 << 62))


def spin_over(path: str) -> int:
    return spin()


def burn(cpu_seconds: float) -> float:
    started = time.process_time()
    while (spent := time.process_time() - started) < cpu_seconds:
        pass
    return spent


def wait_forever(path: str = "") -> None:
    threading.Event().wait()


def read_address_zero() -> bytes:
    return ctypes.string_at(0)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_over(path: str) -> None:
    kill_itself()


def exit_at_once() -> None:
    os._exit(3)


def allocate(size_bytes: int) -> int:
    return len(bytearray(size_bytes))


def refuse() -> None:
    raise FileTooLarge("7 bytes, at most 5", limit="5")


def fail() -> None:
    raise KeyError("what nobody outside may read")


def give_an_order() -> Order:
    return Order()


def give_what_cannot_be_sent() -> object:
    return threading.Lock()


def environment() -> dict[str, str]:
    return dict(os.environ)


def open_files() -> list[str]:
    return sorted(os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())


def print_a_lot() -> None:
    os.write(1, b"forged\n")
    os.write(2, b"forged\n")


def make_pool(workers: int = 1, max_waiting: int = 4, tasks_per_worker: int = 200, warm_up: Callable[[], None] = warm_up) -> WorkerPool:
    return WorkerPool(
        "test",
        workers=workers,
        max_waiting=max_waiting,
        memory_bytes=64 << 20,
        warm_up=warm_up,
        preload=[__name__],
        tasks_per_worker=tasks_per_worker,
    )


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    async with make_pool() as pool:
        yield pool


@pytest.fixture
async def pair() -> AsyncIterator[WorkerPool]:
    async with make_pool(workers=2) as pool:
        yield pool


async def end_of_process(pid: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop.add_reader(process, ended.set)
    try:
        async with asyncio.timeout(30):
            await ended.wait()
    finally:
        loop.remove_reader(process)
        os.close(process)


async def test_a_task_runs_in_a_process_of_its_own(pool: WorkerPool) -> None:
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) != os.getpid()
    assert await pool.run(add, 1.0, 2.0, cpu_seconds=LONG_SECONDS) == Answer(3.0)


async def test_every_worker_is_warmed_up_when_start_returns(pair: WorkerPool) -> None:
    warmed_up = await asyncio.gather(*(pair.run(where_warmed_up, cpu_seconds=LONG_SECONDS) for _ in range(2)))
    assert all(warmed_up)
    assert os.getpid() not in warmed_up


async def test_start_says_why_warm_up_failed() -> None:
    with pytest.raises(RuntimeError, match="no such model"):
        await make_pool(warm_up=warm_up_badly).start()


async def test_start_refuses_a_warm_up_that_leaves_threads() -> None:
    with pytest.raises(RuntimeError, match="left 1 threads running"):
        await make_pool(warm_up=warm_up_with_a_thread).start()


async def test_numpy_values_and_our_own_classes_come_back(pool: WorkerPool) -> None:
    assert await pool.run(mean, [1.0, 2.0], cpu_seconds=LONG_SECONDS) == pytest.approx(1.5)


async def test_the_path_of_media_is_good_in_the_worker(pool: WorkerPool) -> None:
    with MediaFile.of(b"x" * 3_000_000) as media:
        assert await pool.run(length_of_file, media.path, cpu_seconds=LONG_SECONDS) == 3_000_000


async def test_media_may_lie_anywhere_in_the_arguments(pool: WorkerPool) -> None:
    with MediaFile.of(b"one") as one, MediaFile.of(b"three") as three:
        assert await pool.run(lengths, {"all": [three.path, one.path]}, cpu_seconds=LONG_SECONDS) == [5, 3]


async def test_media_are_closed_in_the_worker_when_the_task_is_done(pool: WorkerPool) -> None:
    before = await pool.run(open_files, cpu_seconds=LONG_SECONDS)
    with MediaFile.of(b"x") as media:
        await pool.run(length_of_file, media.path, cpu_seconds=LONG_SECONDS)
    assert await pool.run(open_files, cpu_seconds=LONG_SECONDS) == before


async def test_large_arguments_and_results_pass_whole(pool: WorkerPool) -> None:
    content = os.urandom(5_000_000)
    assert await pool.run(bytes, content, cpu_seconds=LONG_SECONDS) == content


async def test_what_does_not_fit_is_refused_at_once() -> None:
    async with make_pool(workers=1, max_waiting=1) as pool, asyncio.TaskGroup() as group:
        spinning = [group.create_task(pool.run(spin, cpu_seconds=LONG_SECONDS)) for _ in range(2)]
        while pool.running + pool.waiting < 2:
            await asyncio.sleep(0)
        assert (pool.running, pool.waiting) == (1, 1)
        started = time.monotonic()
        with pytest.raises(Overloaded, match="1 tasks are running and 1 waiting"):
            await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
        assert time.monotonic() - started < LONG_SECONDS / 4
        for task in spinning:
            task.cancel()


async def test_room_is_made_again_when_tasks_end(pool: WorkerPool) -> None:
    for _ in range(3):
        await asyncio.gather(*(pool.run(own_pid, cpu_seconds=LONG_SECONDS) for _ in range(5)))
    assert (pool.running, pool.waiting) == (0, 0)


async def test_a_task_that_takes_too_much_of_a_processor_is_its_medias_fault(pool: WorkerPool) -> None:
    before = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    with pytest.raises(UnsupportedMedia, match=r"took too long to decode \(more than 0.2 s of processor time\)"):
        await pool.run(spin, cpu_seconds=0.2, deadline=time.monotonic() + LONG_SECONDS)
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) != before


async def test_what_a_worker_spent_on_earlier_tasks_is_not_counted(pool: WorkerPool) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    for _ in range(3):
        assert await pool.run(burn, 0.2, cpu_seconds=0.4, deadline=time.monotonic() + LONG_SECONDS) >= 0.2
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) == pid


async def test_a_task_that_a_busy_machine_keeps_waiting_is_not_its_medias_fault(pool: WorkerPool) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    os.kill(pid, signal.SIGSTOP)
    kept_waiting = asyncio.create_task(pool.run(burn, 0.1, cpu_seconds=0.3, deadline=time.monotonic() + LONG_SECONDS))
    done, _ = await asyncio.wait([kept_waiting], timeout=0.6)
    assert not done
    os.kill(pid, signal.SIGCONT)
    assert await kept_waiting >= 0.1


async def test_a_stopped_worker_runs_out_of_time_and_is_replaced(pool: WorkerPool) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded):
        await pool.run(spin, cpu_seconds=0.1, deadline=time.monotonic() + 0.3)
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) != pid
    await end_of_process(pid)


async def test_a_file_over_which_time_ran_out_is_not_refused_afterwards(pool: WorkerPool) -> None:
    with MediaFile.of(b"patience") as media:
        for _ in range(3):
            with pytest.raises(DeadlineExceeded):
                await pool.run(wait_forever, media.path, cpu_seconds=0.05, deadline=time.monotonic() + 0.2)
        assert await pool.run(length_of_file, media.path, cpu_seconds=LONG_SECONDS) == 8


async def test_a_file_that_took_too_much_of_a_processor_twice_is_refused_unread(pool: WorkerPool) -> None:
    with MediaFile.of(b"endless") as media:
        for _ in range(2):
            with pytest.raises(UnsupportedMedia, match="processor time"):
                await pool.run(spin_over, media.path, cpu_seconds=0.05, deadline=time.monotonic() + LONG_SECONDS)
        with pytest.raises(UnsupportedMedia, match="again and again"):
            await pool.run(length_of_file, media.path, cpu_seconds=LONG_SECONDS)


async def test_a_task_without_a_deadline_does_not_hang_for_ever(pool: WorkerPool) -> None:
    with pytest.raises(DeadlineExceeded):
        await pool.run(wait_forever, cpu_seconds=0.05)


async def test_a_deadline_that_runs_out_over_a_task_is_not_its_medias_fault(pool: WorkerPool) -> None:
    with pytest.raises(DeadlineExceeded):
        await pool.run(spin, cpu_seconds=LONG_SECONDS, deadline=time.monotonic() + 0.2)


async def test_a_deadline_holds_while_waiting_for_a_worker(pool: WorkerPool) -> None:
    spinning = asyncio.create_task(pool.run(spin, cpu_seconds=LONG_SECONDS))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded):
        await pool.run(own_pid, cpu_seconds=LONG_SECONDS, deadline=time.monotonic() + 0.1)
    assert (pool.running, pool.waiting) == (1, 0)
    spinning.cancel()


async def test_a_deadline_in_the_past_starts_nothing(pool: WorkerPool) -> None:
    before = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    with pytest.raises(DeadlineExceeded):
        await pool.run(spin, cpu_seconds=LONG_SECONDS, deadline=time.monotonic())
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) == before


@pytest.mark.parametrize(("crash", "cause"), [(read_address_zero, "SIGSEGV"), (kill_itself, "SIGKILL"), (exit_at_once, "exit code 3")])
async def test_a_crash_costs_its_own_task_only(pair: WorkerPool, crash: Callable[[], Any], cause: str) -> None:
    neighbours = [asyncio.create_task(pair.run(own_pid, cpu_seconds=LONG_SECONDS)) for _ in range(4)]
    with pytest.raises(UnsupportedMedia, match=cause):
        await pair.run(crash, cpu_seconds=LONG_SECONDS)
    assert all(await asyncio.gather(*neighbours))


async def test_a_file_that_has_crashed_two_workers_is_refused_unread(pool: WorkerPool) -> None:
    with MediaFile.of(b"deadly") as deadly, MediaFile.of(b"deadly") as copy, MediaFile.of(b"harmless") as harmless:
        for _ in range(2):
            with pytest.raises(UnsupportedMedia, match=r"crashed its decoder \(SIGKILL\)$"):
                await pool.run(die_over, deadly.path, cpu_seconds=LONG_SECONDS)
        with pytest.raises(UnsupportedMedia, match=r"crashed its decoder \(SIGKILL\), again and again"):
            await pool.run(length_of_file, copy.path, cpu_seconds=LONG_SECONDS)
        assert await pool.run(length_of_file, harmless.path, cpu_seconds=LONG_SECONDS) == 8


async def test_a_crashed_worker_is_replaced_within_a_second(pool: WorkerPool) -> None:
    with pytest.raises(UnsupportedMedia):
        await pool.run(read_address_zero, cpu_seconds=LONG_SECONDS)
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS, deadline=time.monotonic() + LONG_SECONDS)


async def test_a_hanging_task_does_not_hold_up_its_neighbours(pair: WorkerPool) -> None:
    hanging = asyncio.create_task(pair.run(spin, cpu_seconds=0.5, deadline=time.monotonic() + LONG_SECONDS))
    answered = 0
    while not hanging.done():
        await pair.run(own_pid, cpu_seconds=LONG_SECONDS)
        answered += 1
    assert isinstance(hanging.exception(), UnsupportedMedia)
    assert answered > 3


async def test_cancelling_a_call_kills_its_task(pool: WorkerPool) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    spinning = asyncio.create_task(pool.run(spin, cpu_seconds=LONG_SECONDS))
    await asyncio.sleep(0)
    spinning.cancel()
    await end_of_process(pid)
    assert spinning.cancelled()
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) != pid


async def test_cancelling_a_waiting_call_leaves_the_worker_alone(pool: WorkerPool) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    first, second = (asyncio.create_task(pool.run(own_pid, cpu_seconds=LONG_SECONDS)) for _ in range(2))
    await asyncio.sleep(0)
    second.cancel()
    assert await first == pid
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) == pid


async def test_an_error_of_the_mesh_arrives_as_it_was_raised(pool: WorkerPool) -> None:
    with pytest.raises(FileTooLarge) as caught:
        await pool.run(refuse, cpu_seconds=LONG_SECONDS)
    assert (caught.value.message, caught.value.details) == ("7 bytes, at most 5", {"limit": "5"})


@pytest.mark.parametrize("function", [fail, give_what_cannot_be_sent])
async def test_any_other_error_is_logged_here_and_not_told(
    pool: WorkerPool, function: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    with pytest.raises(Internal) as caught:
        await pool.run(function, cpu_seconds=LONG_SECONDS)
    assert caught.value.message == Internal.__doc__
    assert "Traceback" in caplog.text
    assert function.__name__ in caplog.text
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) == pid


async def test_a_reply_that_orders_the_service_about_is_refused(pool: WorkerPool, caplog: pytest.LogCaptureFixture) -> None:
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    with pytest.raises(Internal):
        await pool.run(give_an_order, cpu_seconds=LONG_SECONDS)
    assert "a reply may not hold posix.system" in caplog.text
    assert await pool.run(own_pid, cpu_seconds=LONG_SECONDS) != pid


async def test_too_much_memory_is_the_medias_fault(pool: WorkerPool) -> None:
    assert await pool.run(allocate, 32 << 20, cpu_seconds=LONG_SECONDS) == 32 << 20
    with pytest.raises(UnsupportedMedia, match="too much memory"):
        await pool.run(allocate, 128 << 20, cpu_seconds=LONG_SECONDS)
    assert await pool.run(allocate, 32 << 20, cpu_seconds=LONG_SECONDS) == 32 << 20


async def test_workers_are_replaced_after_their_number_of_tasks() -> None:
    async with make_pool(tasks_per_worker=2) as pool:
        pids = [await pool.run(own_pid, cpu_seconds=LONG_SECONDS) for _ in range(5)]
        assert [pids.index(pid) for pid in pids] == [0, 0, 2, 2, 4]


async def test_workers_inherit_no_secrets_and_no_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    with open(__file__, "rb") as held:
        os.set_inheritable(held.fileno(), True)
        async with make_pool() as pool:
            assert "DATABASE_URL" not in await pool.run(environment, cpu_seconds=LONG_SECONDS)
            names = await pool.run(open_files, cpu_seconds=LONG_SECONDS)
    assert names[:3] == ["/dev/null"] * 3
    assert [name.partition(":")[0] for name in names[3:]] == ["socket"]


async def test_what_a_decoder_prints_reaches_no_log(pool: WorkerPool, capfd: pytest.CaptureFixture[str]) -> None:
    await pool.run(print_a_lot, cpu_seconds=LONG_SECONDS)
    assert "forged" not in "".join(capfd.readouterr())


async def test_stop_ends_running_tasks_and_leaves_no_process() -> None:
    pool = make_pool()
    await pool.start()
    pid = await pool.run(own_pid, cpu_seconds=LONG_SECONDS)
    spinning = asyncio.create_task(pool.run(spin, cpu_seconds=LONG_SECONDS))
    await asyncio.sleep(0)
    await pool.stop()
    with pytest.raises(NotAvailable):
        await spinning
    await end_of_process(pid)


async def test_a_log_line_names_the_signal_that_ended_a_worker(pool: WorkerPool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(MeshError):
        await pool.run(kill_itself, cpu_seconds=LONG_SECONDS)
    assert "kill_itself ended its worker: SIGKILL" in caplog.text
