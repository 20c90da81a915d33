"""Where workers are born: a process that has imported and warmed up everything once, then forks a worker whenever asked.

It is a fresh program (never a fork of a process with gRPC in it), knows none of the service's secrets or sockets, and has a
single thread, so that its forks are sound. Workers share its pages and are ready in milliseconds. They die with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh import sandbox
from mesh.errors import MeshError

HEADER = struct.Struct("!Q")
"""Before each task and each reply: how many bytes follow."""

MAX_FILES_PER_TASK = 16
MAX_REPORT_BYTES = 1 << 16

READY = b"ready"

NICENESS = 5
"""Workers take what the services' own loops leave: a refusal, or a health check, does not wait behind a decoder."""


@dataclass(frozen=True)
class Upbringing:
    """What a worker is made of."""

    preload: tuple[str, ...]
    warm_up: Callable[[], None]
    memory_bytes: int


@dataclass(frozen=True)
class Task:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    cpu_seconds: float


def main() -> None:
    """Reports READY or a traceback; then takes sockets, forks a worker for each, and reports "<pid> <wait status>" of the dead."""
    control, nursery = socket.socket(fileno=int(sys.argv[1])), os.getpid()
    try:
        upbringing = _bring_up(control.recv(MAX_REPORT_BYTES))
    except BaseException:
        control.send(traceback.format_exc().encode()[-MAX_REPORT_BYTES // 2 :])
        return
    # A signal handler runs between two receptions of the loop below, which is resumed afterwards.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: _report_the_dead(control))
    # The service may be told to stop before this is ready.
    with contextlib.suppress(ConnectionError):
        control.send(READY)
        while descriptors := socket.recv_fds(control, 1, 1)[1]:
            if os.fork() == 0:
                try:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    control.close()
                    _live(socket.socket(fileno=descriptors[0]), upbringing, nursery)
                finally:
                    os._exit(0)
            os.close(descriptors[0])


def _bring_up(request: bytes) -> Upbringing:
    modules, upbringing = pickle.loads(request)
    for module in modules:
        importlib.import_module(module)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    wanted: Upbringing = pickle.loads(upbringing)
    wanted.warm_up()
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        raise RuntimeError(f"workers cannot be forked: imports and warm-up left {threads - 1} threads running")
    # What exists by now stays: the collector need not touch it, and so does not unshare its pages.
    gc.collect()
    gc.freeze()
    return wanted


def _report_the_dead(control: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError, OSError):
        while (death := os.waitpid(-1, os.WNOHANG))[0]:
            control.send(f"{death[0]} {death[1]}".encode())


def _live(service: socket.socket, upbringing: Upbringing, nursery: int) -> None:
    """A worker's life: give everything up, then one task after another until the service closes the socket."""
    sandbox.die_with(nursery)
    os.nice(NICENESS)
    _silence()
    in_force = sandbox.apply(upbringing.memory_bytes)
    with service, open(service.fileno(), "wb", closefd=False) as replies:
        _answer(replies, pickle.dumps((os.getpid(), in_force)))
        while (received := _receive(service)) is not None:
            _answer(replies, _perform(*received))


def _silence() -> None:
    """Decoders print what they find in a file; nothing from a file may forge a line of the service's log."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _receive(service: socket.socket) -> tuple[bytes, list[int]] | None:
    header, descriptors, _, _ = socket.recv_fds(service, HEADER.size, MAX_FILES_PER_TASK)
    if not header:
        return None
    (length,) = HEADER.unpack(header)
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        received = service.recv_into(rest)
        if not received:
            return None
        rest = rest[received:]
    return bytes(content), descriptors


def _answer(replies: io.BufferedWriter, content: bytes) -> None:
    replies.write(HEADER.pack(len(content)))
    replies.write(content)
    replies.flush()


def _perform(content: bytes, descriptors: list[int]) -> bytes:
    """The reply: "result" and a value, "error" and a MeshError, "exhausted" (of memory), or "fault" and a traceback."""
    try:
        task = _TaskUnpickler(content, descriptors).load()
        sandbox.limit_cpu(task.cpu_seconds)
        return pickle.dumps(("result", task.function(*task.arguments)), pickle.HIGHEST_PROTOCOL)
    except MeshError as error:
        return pickle.dumps(("error", error))
    except BaseException as error:
        if _is_lack_of_memory(error):
            return pickle.dumps(("exhausted", None))
        return pickle.dumps(("fault", traceback.format_exc()))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


class _TaskUnpickler(pickle.Unpickler):
    """Where the service gave the path of a MediaFile, the function gets that of the descriptor that came along."""

    def __init__(self, content: bytes, descriptors: list[int]) -> None:
        super().__init__(io.BytesIO(content))
        self._descriptors = descriptors

    def persistent_load(self, index: Any) -> str:
        return f"/proc/self/fd/{self._descriptors[index]}"


def _is_lack_of_memory(error: BaseException) -> bool:
    # cv2.error with StsNoMem (opencv2/core/base.hpp); this file does not import cv2.
    return isinstance(error, MemoryError) or (type(error).__name__ == "error" and getattr(error, "code", None) == -4)
