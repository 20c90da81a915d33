"""What a worker gives up before it touches foreign media: network, other programs and processes, all files but its libraries.

Nothing here needs a privilege or a library. Where the kernel refuses a part, the rest holds and apply() says what does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path

from mesh.system_calls import LIBC, refuse_dangerous_calls, system_call

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITY_VERSION_3 = 0x20080522

MAX_OPEN_FILES = 64

# linux/landlock.h
RULE_PATH_BENEATH = 1
READ_FILE, READ_DIRECTORY, ALL_ACCESS = 1 << 2, 1 << 3, (1 << 13) - 1

READABLE = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/dev/urandom")
"""Beside Python, its libraries and our own packages: what these look for late. Not the folder with the service's data."""


def apply(memory_bytes: int) -> str:
    """Gives it all up for good, and memory beyond `memory_bytes` more than now; says what is in force."""
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _drop_capabilities()
    has_landlock = _hide_files()
    _limit_resources(memory_bytes)
    has_seccomp = refuse_dangerous_calls()
    return "+".join(["seccomp"] * has_seccomp + ["landlock"] * has_landlock + ["limits"])


def limit_cpu(seconds: float) -> None:
    """From now on. The kernel counts whole seconds; it ends the process with SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def die_with(parent: int) -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it had died before


def _drop_capabilities() -> None:
    """Root without them can neither raise its limits again nor look into the service, which keeps its own."""
    system_call("capset", struct.pack("<Ii", CAPABILITY_VERSION_3, 0), bytes(24))


def _hide_files() -> bool:
    """Landlock: no path but the readable ones opens any more, and no other process's /proc; descriptors stay good."""
    ruleset = system_call("landlock_create_ruleset", struct.pack("<Q", ALL_ACCESS), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    packages = {path for module in tuple(sys.modules.values()) for path in getattr(module, "__path__", ())}
    for path in {*READABLE, sys.prefix, sys.base_prefix, *packages}:
        with contextlib.suppress(OSError):
            beneath = os.open(path, os.O_PATH)
            access = READ_FILE | READ_DIRECTORY if Path(path).is_dir() else READ_FILE
            system_call("landlock_add_rule", ruleset, RULE_PATH_BENEATH, struct.pack("<Qi", access, beneath), 0)
            os.close(beneath)
    is_in_force = system_call("landlock_restrict_self", ruleset, 0) == 0
    os.close(ruleset)
    return is_in_force


def _limit_resources(memory_bytes: int) -> None:
    mapped_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for limit, ceiling in {
        resource.RLIMIT_AS: mapped_bytes + memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        # Not RLIMIT_NPROC: it counts all of the user's processes, and does not hold for root. The filter refuses fork.
    }.items():
        _, hard = resource.getrlimit(limit)
        lowest = ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard)
        resource.setrlimit(limit, (lowest, lowest))
