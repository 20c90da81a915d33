"""What a worker can no longer do, tried from inside one; and that decoding, mathematics and threads still work in it."""

from __future__ import annotations

import ctypes
import errno
import itertools
import mmap
import os
import platform
import resource
import socket
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest

from mesh import sandbox, system_calls
from mesh.errors import UnsupportedMedia
from mesh.media_file import MediaFile
from mesh.system_calls import CALLS, LIBC, MACHINES
from mesh.workers import WorkerPool

LIMIT_SECONDS = 20.0
MEMORY_BYTES = 256 << 20

ASKED_ABOUT = {"open", "openat", "clone", "kill", "tgkill", "prlimit64"}
"""Refused or not by their arguments."""


def warm_up() -> None:
    cv2.SIFT_create().detectAndCompute(np.zeros((64, 64), np.uint8), None)  # type: ignore[attr-defined]


def warm_up_on_an_unknown_machine() -> None:
    mock.patch("platform.machine", return_value="riscv64").start()


def open_socket() -> None:
    socket.socket()


def open_udp_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def open_socket_pair() -> None:
    socket.socketpair()


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def run_program() -> None:
    subprocess.run(["/bin/true"], check=False)


def become_program() -> None:
    os.execv("/bin/true", ["true"])


def kill_parent() -> None:
    os.kill(os.getppid(), 0)


def look_into_parent(_: str) -> None:
    Path(f"/proc/{os.getppid()}/environ").read_bytes()


def raise_own_limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def limit_parent() -> None:
    resource.prlimit(os.getppid(), resource.RLIMIT_CORE)


def write_file(path: str) -> None:
    Path(path).write_bytes(b"x")


def read_file(path: str) -> int:
    return len(Path(path).read_bytes())


def append_to_file(path: str) -> None:
    os.open(path, os.O_WRONLY | os.O_APPEND)


def empty_file(path: str) -> None:
    os.open(path, os.O_RDONLY | os.O_TRUNC)


def remove_file(path: str) -> None:
    Path(path).unlink()


def make_directory(path: str) -> None:
    Path(path + ".d").mkdir()


def list_directory(path: str) -> None:
    os.listdir(os.path.dirname(path))


def outcome(function: Callable[..., Any], *arguments: Any) -> str:
    try:
        return f"did it: {function(*arguments)}"
    except Exception as error:
        return type(error).__name__


def error_of_call(number: int) -> int:
    ctypes.set_errno(0)
    return ctypes.get_errno() if LIBC.syscall(number, -1, -1, -1, -1, -1, -1) == -1 else 0


def error_of_i386_call() -> int:
    """getpid by the 32-bit door: mov eax, 20; int 0x80; ret"""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    return -int(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())


def import_late() -> str:
    import colorsys  # noqa: PLC0415  # that is the point

    return colorsys.__name__


def sum_in_threads() -> int:
    with ThreadPoolExecutor(3) as threads:
        return sum(threads.map(lambda number: number + threading.get_native_id() * 0, range(4)))


def features_of(path: str) -> int:
    picture = cv2.imdecode(np.frombuffer(Path(path).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert np.linalg.svd(picture.astype(float), compute_uv=False)[0] > 0
    return len(cv2.SIFT_create().detectAndCompute(picture, None)[0])  # type: ignore[attr-defined]


def allocate_by_numpy() -> int:
    return int(np.ones(2 * MEMORY_BYTES, np.uint8).size)


def allocate_by_cv2() -> int:
    return cv2.resize(np.zeros((8, 8), np.uint8), (30_000, 30_000)).size


def use_up_its_cpu_time() -> int:
    sandbox.limit_cpu(0.1)
    return sum(itertools.repeat(1, 1 << 62))


def limits() -> list[int]:
    return [resource.getrlimit(limit)[1] for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]


def capabilities() -> list[int]:
    status = Path("/proc/self/status").read_text()
    return [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("CapEff", "CapPrm", "CapInh"))]


def has_landlock() -> bool:
    version = 1  # linux/landlock.h: LANDLOCK_CREATE_RULESET_VERSION
    return system_calls.system_call("landlock_create_ruleset", None, ctypes.c_size_t(0), version) > 0


def make_pool(warm_up: Callable[[], None] = warm_up) -> WorkerPool:
    return WorkerPool("test", workers=1, max_waiting=1, memory_bytes=MEMORY_BYTES, warm_up=warm_up, preload=[__name__])


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    async with make_pool() as pool:
        yield pool


async def test_all_that_this_kernel_offers_is_in_force(pool: WorkerPool) -> None:
    offered = ["seccomp"] * ("Seccomp:" in Path("/proc/self/status").read_text()) + ["landlock"] * has_landlock()
    assert pool.sandbox == "+".join([*offered, "limits"])


async def test_where_the_kernel_gives_nothing_limits_remain_and_are_named() -> None:
    async with make_pool(warm_up=warm_up_on_an_unknown_machine) as pool:
        assert pool.sandbox == "limits"
        assert await pool.run(limits, cpu_seconds=LIMIT_SECONDS) == [0, 0, 64]
        assert (await pool.run(outcome, open_socket, cpu_seconds=LIMIT_SECONDS)).startswith("did it")


@pytest.mark.parametrize(
    "function",
    [
        open_socket,
        open_udp_socket,
        open_socket_pair,
        fork,
        run_program,
        become_program,
        kill_parent,
        limit_parent,
    ],
)
async def test_a_worker_cannot(pool: WorkerPool, function: Callable[[], None]) -> None:
    assert await pool.run(outcome, function, cpu_seconds=LIMIT_SECONDS) == "PermissionError"


async def test_a_worker_cannot_raise_its_own_limits(pool: WorkerPool) -> None:
    assert await pool.run(outcome, raise_own_limits, cpu_seconds=LIMIT_SECONDS) == "ValueError"
    assert await pool.run(limits, cpu_seconds=LIMIT_SECONDS) == [0, 0, 64]
    assert not any(await pool.run(capabilities, cpu_seconds=LIMIT_SECONDS))


@pytest.mark.parametrize("function", [write_file, append_to_file, empty_file, remove_file, make_directory])
async def test_a_worker_cannot_change_a_file(pool: WorkerPool, function: Callable[[str], Any], tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_bytes(b"kept")
    assert await pool.run(outcome, function, str(file), cpu_seconds=LIMIT_SECONDS) == "PermissionError"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert file.read_bytes() == b"kept"


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("function", [read_file, list_directory, look_into_parent])
async def test_a_worker_cannot_read_files_of_the_service(pool: WorkerPool, function: Callable[[str], Any], tmp_path: Path) -> None:
    file = tmp_path / "private"
    file.write_bytes(b"private")
    assert await pool.run(outcome, function, str(file), cpu_seconds=LIMIT_SECONDS) == "PermissionError"


@pytest.mark.parametrize("name", sorted(set(CALLS) - system_calls.UNTOUCHED - ASKED_ABOUT))
async def test_every_call_of_the_table_is_refused(name: str) -> None:
    """By the filter as it is loaded for either machine, read as the kernel reads it."""
    for column, architecture in MACHINES.values():
        number = CALLS[name][column]
        expected = system_calls.REFUSE | (errno.ENOSYS if name in system_calls.ABSENT else errno.EPERM)
        assert number is None or verdict(column, architecture, number) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "is_allowed"),
    [
        ("openat", (0, 0, os.O_RDONLY | os.O_CLOEXEC), True),
        ("openat", (0, 0, os.O_WRONLY), False),
        ("openat", (0, 0, os.O_RDWR), False),
        ("openat", (0, 0, os.O_RDONLY | os.O_CREAT), False),
        ("openat", (0, 0, os.O_RDONLY | os.O_TRUNC), False),
        ("open", (0, os.O_RDONLY), True),
        ("open", (0, os.O_WRONLY), False),
        ("clone", (0x3D0F00,), True),  # what pthread_create asks for
        ("clone", (0x1200011,), False),  # what fork asks for
        ("kill", (os.getpid(),), True),
        ("kill", (1,), False),
        ("tgkill", (os.getpid(),), True),
        ("tgkill", (1,), False),
        ("prlimit64", (0,), True),
        ("prlimit64", (os.getpid(),), True),
        ("prlimit64", (1,), False),
    ],
)
def test_some_calls_are_refused_by_their_arguments(name: str, arguments: tuple[int, ...], is_allowed: bool) -> None:
    for column, architecture in MACHINES.values():
        if (number := CALLS[name][column]) is not None:
            expected = system_calls.ALLOW if is_allowed else system_calls.REFUSE | errno.EPERM
            assert verdict(column, architecture, number, *arguments) == expected


def test_calls_by_another_door_are_refused() -> None:
    for column, architecture in MACHINES.values():
        getpid = (39, 172)[column]
        assert verdict(column, architecture, getpid) == system_calls.ALLOW
        assert verdict(column, architecture, getpid, as_architecture=0x40000003) == system_calls.REFUSE | errno.EPERM
        assert verdict(column, architecture, getpid | system_calls.X32) == system_calls.REFUSE | errno.EPERM


async def test_the_kernel_reads_the_filter_as_these_tests_do(pool: WorkerPool) -> None:
    for name in ("io_uring_setup", "clone3", "userfaultfd", "pidfd_open", "shmget"):
        number = CALLS[name][MACHINES[platform.machine()][0]]
        expected = errno.ENOSYS if name in system_calls.ABSENT else errno.EPERM
        assert number is not None
        assert await pool.run(error_of_call, number, cpu_seconds=LIMIT_SECONDS) == expected


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a door of x86_64 only")
async def test_the_doors_of_x32_and_i386_are_shut(pool: WorkerPool) -> None:
    assert await pool.run(error_of_call, 39 | system_calls.X32, cpu_seconds=LIMIT_SECONDS) == errno.EPERM
    try:
        assert await pool.run(error_of_i386_call, cpu_seconds=LIMIT_SECONDS) == errno.EPERM
    except UnsupportedMedia as error:
        assert "SIGSEGV" in error.message  # a kernel built without that door


async def test_decoding_mathematics_threads_and_late_imports_still_work(pool: WorkerPool) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200), np.uint8)
    with MediaFile.of(cv2.imencode(".png", noise)[1].tobytes()) as media:
        assert await pool.run(features_of, media.path, cpu_seconds=LIMIT_SECONDS) > 100
    assert await pool.run(sum_in_threads, cpu_seconds=LIMIT_SECONDS) == 6
    assert await pool.run(import_late, cpu_seconds=LIMIT_SECONDS) == "colorsys"


@pytest.mark.parametrize("function", [allocate_by_numpy, allocate_by_cv2])
async def test_memory_beyond_the_limit_is_refused(pool: WorkerPool, function: Callable[[], int]) -> None:
    with pytest.raises(UnsupportedMedia, match="too much memory"):
        await pool.run(function, cpu_seconds=LIMIT_SECONDS)


async def test_cpu_time_beyond_the_limit_ends_the_worker(pool: WorkerPool) -> None:
    with pytest.raises(UnsupportedMedia, match="took too long"):
        await pool.run(use_up_its_cpu_time, cpu_seconds=LIMIT_SECONDS)


def verdict(column: int, architecture: int, number: int, *arguments: int, as_architecture: int | None = None) -> int:
    """Runs the filter over a call as the kernel would (struct seccomp_data, Documentation/networking/filter)."""
    call = struct.pack("<IIQ6Q", number, as_architecture or architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("<HBBI", b"".join(system_calls._program(column, architecture))))
    accumulator = position = 0
    while True:
        code, skip_if_true, skip_if_false, constant = program[position]
        position += 1
        match code:
            case system_calls.LOAD:
                (accumulator,) = struct.unpack_from("<I", call, constant)
            case system_calls.RETURN:
                return int(constant)
            case system_calls.JUMP_IF_EQUAL:
                position += skip_if_true if accumulator == constant else skip_if_false
            case system_calls.JUMP_IF_AT_LEAST:
                position += skip_if_true if accumulator >= constant else skip_if_false
            case system_calls.JUMP_IF_ANY_BIT:
                position += skip_if_true if accumulator & constant else skip_if_false
