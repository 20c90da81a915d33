"""The service's ends of a worker and of the process that workers are born in: sockets to talk, a pidfd to kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence

from mesh.nursery import HEADER, MAX_REPORT_BYTES, READY, Upbringing

MAX_REPLY_BYTES = 64 << 20
"""A worker that has decoded hostile media is not believed when it announces more than any fingerprint takes."""

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR")
"""All that workers see of the service's environment, where its secrets are."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""The pool is what runs in parallel; threads within a task would fight over the same cores, and could not be forked."""

KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""Arrays of megabytes come and go with every task; giving them back and faulting them in again took a quarter of the time."""


class Worker:
    """The service's end of one worker: a socket to talk, a pidfd to kill (a bare pid might by then be someone else's)."""

    def __init__(self, connection: socket.socket, pid: int, sandbox: str) -> None:
        self.pid, self.sandbox, self.tasks_done, self.is_busy, self.is_stopped = pid, sandbox, 0, False, False
        self.death: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """Its wait status; None where nobody can tell."""
        self._connection = connection
        self._process = os.pidfd_open(pid)

    async def ask(self, content: bytes, files: Sequence[int]) -> bytes:
        """Its reply; EOFError if it died over the question."""
        sent = socket.send_fds(self._connection, [HEADER.pack(len(content)), content], files)
        if rest := memoryview(content)[sent - HEADER.size :]:
            await asyncio.get_running_loop().sock_sendall(self._connection, rest)
        return await _receive_reply(self._connection)

    def cpu_seconds(self) -> float:
        """What it has spent of a processor in its life, as the kernel counts it: no part of its answer is believed for this."""
        try:
            return time.clock_gettime(cpu_clock(self.pid))
        except OSError:  # it has just died, which `ask` will tell
            return 0.0

    def kill(self) -> None:
        if not self.death.done():
            self.is_stopped = True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def bury(self, status: int | None) -> None:
        self.death.set_result(status)
        if self.is_busy:
            # Whoever waits for its reply reads the end, then closes.
            self._connection.shutdown(socket.SHUT_RDWR)
        else:
            self.close()

    def close(self) -> None:
        os.close(self._process)
        # Not before the loop has let go of it.
        asyncio.get_running_loop().call_soon(self._connection.close)


class Nursery:
    """The service's end of mesh/nursery.py."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process, self._control = process, control

    @classmethod
    async def open(cls, upbringing: Upbringing) -> Nursery:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", "from mesh.nursery import main; main()", str(theirs.fileno())],
                env={name: os.environ[name] for name in INHERITED if name in os.environ}
                | ONE_THREAD
                | KEPT_MEMORY
                | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is the service's to handle
            )
        ours.setblocking(False)
        nursery = cls(process, ours)
        try:
            # Twice, so that the modules are imported before warm_up is looked up in one of them.
            ours.send(pickle.dumps((upbringing.preload, pickle.dumps(upbringing))))
            if (report := await asyncio.get_running_loop().sock_recv(ours, MAX_REPORT_BYTES)) != READY:
                raise RuntimeError(f"workers cannot be warmed up: {report.decode() or 'the process ended'}")
        except BaseException:
            await nursery.close()
            raise
        return nursery

    async def bear(self) -> Worker:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            ours.setblocking(False)
            pid, sandbox = pickle.loads(await _receive_reply(ours))  # it has seen no media yet
            return Worker(ours, pid, sandbox)
        except BaseException:
            ours.close()
            raise

    async def deaths(self) -> AsyncIterator[tuple[int, int]]:
        """Of each worker its pid and wait status; ends with the nursery."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while report := await loop.sock_recv(self._control, MAX_REPORT_BYTES):
                pid, status = report.split()
                yield int(pid), int(status)

    async def close(self) -> None:
        """It ends when its socket closes; its workers end with it."""
        self._control.close()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)


def cpu_clock(pid: int) -> int:
    """The clock of a process (clock_getcpuclockid(3)): of all its threads, by their scheduler (CPUCLOCK_SCHED, linux/posix-timers.h)."""
    return ~pid << 3 | 2


async def _receive_reply(connection: socket.socket) -> bytes:
    (length,) = HEADER.unpack(await _receive(connection, HEADER.size))
    if length > MAX_REPLY_BYTES:
        raise EOFError(f"a reply of {length} bytes")
    return await _receive(connection, length)


async def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    content = bytearray(size_bytes)
    rest = memoryview(content)
    while rest:
        received = await asyncio.get_running_loop().sock_recv_into(connection, rest)
        if not received:
            raise EOFError
        rest = rest[received:]
    return bytes(content)
