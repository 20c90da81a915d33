"""A bounded pool of sandboxed worker processes for asyncio: heavy or dangerous work never runs in the service itself.

Whatever a task does (hang, crash, eat memory), it costs only itself: its worker is killed and replaced within milliseconds,
its caller gets a MeshError, its neighbours notice nothing. What does not fit in the queue is refused at once.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar, TypeVarTuple

from prometheus_client import Counter, Gauge

from mesh import traces
from mesh.errors import DeadlineExceeded, Internal, MeshError, NotAvailable, Overloaded, UnsupportedMedia
from mesh.media_file import MediaPath
from mesh.nursery import Task, Upbringing
from mesh.quarantine import Quarantine
from mesh.worker import Nursery, Worker

STARTS = Counter("mediamesh_worker_starts_total", "Workers that came up.", ["pool"])
# Told as 0 from the start: Prometheus sees no increase in a series that begins with its first event.
_USUAL_ENDS = ("stopped", "SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGXCPU")
ENDS = Counter(
    "mediamesh_worker_ends_total", "Workers that ended: stopped by their pool, or by a signal or exit of their own.", ["pool", "cause"]
)
BUSY = Gauge("mediamesh_workers_busy", "Tasks that are running.", ["pool"])
ALL = Gauge("mediamesh_workers", "Workers that there are to be.", ["pool"])
WAITING = Gauge("mediamesh_tasks_waiting", "Tasks that wait for a worker.", ["pool"])

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_log = logging.getLogger(__name__)

OUR_PACKAGES = {"mesh", "matching"}

LOADABLE = {
    ("mesh.errors", "_rebuild"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}
"""What a reply may hold beside plain values and classes of our own."""

WALL_SECONDS_PER_CPU_SECOND = 6.0
"""What a task without a deadline may wait for the processor, or for whatever else it hangs on."""

SOONEST_LOOK_SECONDS = 0.01
"""Before the clock of a worker is read again."""

BIRTH_SECONDS = 10.0
"""It takes milliseconds; a process that is stopped gives none, and says nothing."""

LATEST_TASKS = 50
"""What a task takes is told from about so many."""

REBIRTH_DELAY_SECONDS = 1.0
"""Before what could not be started is tried again."""


class WorkerPool:
    def __init__(
        self,
        name: str,
        *,
        workers: int,
        max_waiting: int,
        memory_bytes: int,
        warm_up: Callable[[], None],
        preload: Sequence[str] = (),
        tasks_per_worker: int = 200,
    ) -> None:
        """`warm_up` is a function of a module; it runs once, after the imports, and every worker is born with its effects."""
        self.name, self.workers, self.max_waiting, self.tasks_per_worker = name, workers, max_waiting, tasks_per_worker
        self.sandbox = "none"
        """What is really in force in the workers, such as "seccomp+limits"."""
        self.running = self.waiting = 0
        self._task_seconds = 0.0
        self._upbringing = Upbringing(tuple(preload), warm_up, memory_bytes)
        self._quarantine = Quarantine()
        self._nursery: Nursery | None = None
        self._alive: dict[int, Worker] = {}
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._background: set[asyncio.Task[None]] = set()
        for cause in _USUAL_ENDS:
            ENDS.labels(name, cause)
        ALL.labels(name).set(workers)
        BUSY.labels(name).set_function(lambda: self.running)
        WAITING.labels(name).set_function(lambda: self.waiting)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def is_able(self) -> bool:
        """Whether any worker lives; for the moment it takes to replace the last one, none does."""
        return bool(self._alive)

    @property
    def expected_wait_seconds(self) -> float:
        """Until a worker is free for what comes now, going by what tasks took lately."""
        return self.waiting * self._task_seconds / self.workers

    async def start(self) -> None:
        """Returns when every worker is up, warmed up and in its sandbox."""
        self._nursery = await Nursery.open(self._upbringing)
        self._in_background(self._watch(self._nursery))
        await asyncio.gather(*(self._add_worker(self._nursery) for _ in range(self.workers)))

    async def stop(self) -> None:
        """Ends running tasks, too: let the server finish its calls first."""
        nursery, self._nursery = self._nursery, None
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._lose_all_workers()
        if nursery is not None:
            await nursery.close()

    async def run(
        self,
        function: Callable[[*Arguments], T],
        *arguments: *Arguments,
        cpu_seconds: float,
        deadline: float | None = None,
    ) -> T:
        """`cpu_seconds` is what this task may take of a processor: beyond, its media are to blame. `deadline`, a time of
        time.monotonic(), is the caller's: a busy machine is not. The path of a MediaFile, anywhere in the arguments, can be opened by
        the function."""
        with traces.working(f"worker {function.__name__}", pool=self.name):
            return await self._run(function, arguments, cpu_seconds, deadline)

    async def _run(self, function: Callable[..., T], arguments: tuple[Any, ...], cpu_seconds: float, deadline: float | None) -> T:
        if self.running + self.waiting >= self.workers + self.max_waiting:
            raise Overloaded(
                f"{self.name}: {self.running} tasks are running and {self.waiting} waiting, which is all that fits; try again shortly"
            )
        content, paths = _pack(Task(function, arguments, cpu_seconds))
        files, digests = [path.descriptor for path in paths], [path.sha256 for path in paths]
        self._quarantine.admit(digests)
        worker = await self._next_idle(deadline)
        self.running += 1
        worker.is_busy, is_sound = True, False
        started = time.monotonic()
        try:
            kind, value = await self._ask(worker, content, files, cpu_seconds, deadline, function)
            is_sound = kind != "exhausted"
        except UnsupportedMedia as crash:  # what a sound worker thinks of its media comes as a reply
            self._quarantine.note(digests, crash)
            raise
        finally:
            self.running -= 1
            self._task_seconds += (time.monotonic() - started - self._task_seconds) / LATEST_TASKS
            worker.is_busy = False
            worker.tasks_done += 1
            if worker.death.done():
                worker.close()
            elif is_sound and worker.tasks_done < self.tasks_per_worker:
                self._idle.put_nowait(worker)
            else:
                worker.kill()
        match kind:
            case "result":
                return value  # type: ignore[no-any-return]  # by the function's own type
            case "error" if isinstance(value, MeshError):
                raise value
            case "exhausted":
                raise UnsupportedMedia("needs too much memory to decode")
        _log.error("%s: %s failed in its worker\n%s", self.name, function.__qualname__, value)
        raise Internal

    async def _next_idle(self, deadline: float | None) -> Worker:
        if _remaining_seconds(deadline) <= 0:
            raise DeadlineExceeded
        self.waiting += 1
        try:
            async with asyncio.timeout(_remaining_seconds(deadline)):
                while (worker := await self._idle.get()).death.done():
                    pass
                return worker
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            self.waiting -= 1

    async def _ask(
        self,
        worker: Worker,
        content: bytes,
        files: Sequence[int],
        cpu_seconds: float,
        deadline: float | None,
        function: Callable[..., Any],
    ) -> tuple[str, Any]:
        if deadline is None:
            deadline = time.monotonic() + WALL_SECONDS_PER_CPU_SECOND * cpu_seconds
        try:
            reply = await _within(worker, worker.ask(content, files), cpu_seconds, deadline)
            kind, value = _ReplyUnpickler(reply, function).load()
            return kind, value
        except BrokenPipeError:
            raise NotAvailable from None  # it had died before it got the task
        except (EOFError, ConnectionError):
            raise await self._obituary(worker, function) from None
        except MeshError:
            raise
        except Exception:
            _log.exception("%s: the reply of %s cannot be read", self.name, function.__qualname__)
            raise Internal from None

    async def _obituary(self, worker: Worker, function: Callable[..., Any]) -> MeshError:
        worker.kill()
        status = await asyncio.shield(worker.death)
        if status is None:
            return NotAvailable()
        cause = _cause_of(status)
        _log.warning("%s: %s ended its worker: %s", self.name, function.__qualname__, cause)
        return UnsupportedMedia("took too long to decode" if cause == "SIGXCPU" else f"crashed its decoder ({cause})")

    async def _add_worker(self, nursery: Nursery) -> None:
        while nursery is self._nursery:
            try:
                async with asyncio.timeout(BIRTH_SECONDS):
                    worker = await nursery.bear()
            except (OSError, EOFError) as error:
                _log.error("%s: a worker did not come up: %r", self.name, error)
                await asyncio.sleep(REBIRTH_DELAY_SECONDS)
                continue
            if nursery is self._nursery:
                STARTS.labels(self.name).inc()
                self.sandbox = worker.sandbox
                self._alive[worker.pid] = worker
                self._idle.put_nowait(worker)
            else:  # of a nursery that has died meanwhile, so nobody would tell of its death
                worker.kill()
                worker.bury(None)
            return

    async def _watch(self, nursery: Nursery) -> None:
        """Replaces each worker that died, whyever, and the nursery itself should it die, which takes all workers with it."""
        while True:
            async for pid, status in nursery.deaths():
                if (worker := self._alive.pop(pid, None)) is not None:
                    ENDS.labels(self.name, "stopped" if worker.is_stopped else _cause_of(status)).inc()
                    worker.bury(status)
                    self._in_background(self._add_worker(nursery))
            _log.error("%s: the process that workers are forked from has died; starting another", self.name)
            self._nursery = None
            self._lose_all_workers()
            await nursery.close()
            nursery = await self._reopen()

    async def _reopen(self) -> Nursery:
        while True:
            try:
                self._nursery = nursery = await Nursery.open(self._upbringing)
                for _ in range(self.workers):
                    self._in_background(self._add_worker(nursery))
                return nursery
            except (OSError, RuntimeError) as error:
                _log.error("%s: %s", self.name, error)
                await asyncio.sleep(REBIRTH_DELAY_SECONDS)

    def _lose_all_workers(self) -> None:
        while self._alive:
            _, worker = self._alive.popitem()
            worker.kill()
            worker.bury(None)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _within(worker: Worker, work: Coroutine[Any, Any, T], cpu_seconds: float, deadline: float) -> T:
    """What the work gives, unless its worker has spent more of a processor than it may (UnsupportedMedia), or the time is over."""
    spent_before = worker.cpu_seconds()
    working = asyncio.create_task(work)
    try:
        while True:
            left = cpu_seconds - (worker.cpu_seconds() - spent_before)
            if left <= 0:
                raise UnsupportedMedia(f"took too long to decode (more than {cpu_seconds:g} s of processor time)")
            if (remaining := _remaining_seconds(deadline)) <= 0:
                raise DeadlineExceeded
            # It has one thread, so it cannot have spent what is left any sooner; if it has more, the kernel counts them, too.
            await asyncio.wait([working], timeout=min(max(left, SOONEST_LOOK_SECONDS), remaining))
            if working.done():
                return working.result()
    finally:
        working.cancel()
        await asyncio.wait([working])
        if not working.cancelled():
            working.exception()  # asked, so that nobody complains that it never was


def _cause_of(status: int) -> str:
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit code {os.waitstatus_to_exitcode(status)}"


def _remaining_seconds(deadline: float | None) -> float:
    return math.inf if deadline is None else deadline - time.monotonic()


def _pack(task: Task) -> tuple[bytes, list[MediaPath]]:
    buffer = io.BytesIO()
    pickler = _TaskPickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dump(task)
    return buffer.getvalue(), pickler.paths


class _TaskPickler(pickle.Pickler):
    """Sends the open file along where the path of a MediaFile is."""

    def __init__(self, buffer: io.BytesIO, protocol: int) -> None:
        super().__init__(buffer, protocol)
        self.paths: list[MediaPath] = []

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, MediaPath):
            return None
        self.paths.append(value)
        return len(self.paths) - 1


class _ReplyUnpickler(pickle.Unpickler):
    """Reads values, not orders: a worker that foreign media have taken over must not reach the service through its reply."""

    def __init__(self, content: bytes, function: Callable[..., Any]) -> None:
        super().__init__(io.BytesIO(content))
        self._packages = OUR_PACKAGES | {function.__module__.partition(".")[0]}

    def find_class(self, module: str, name: str) -> Any:
        found = getattr(sys.modules.get(module), name, None)
        is_our_class = isinstance(found, type) and found.__module__ == module and module.partition(".")[0] in self._packages
        if found is not None and (is_our_class or (module, name) in LOADABLE):
            return found
        raise pickle.UnpicklingError(f"a reply may not hold {module}.{name}")
