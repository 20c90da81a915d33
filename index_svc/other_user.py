"""PostgreSQL refuses to be root: where we are, it is somebody else, and nothing on the machine is changed for it.

It runs as nobody, with one capability: to walk through folders that are root's. Where nobody is no user here (a namespace that knows root
alone), it runs in a user namespace of its own, in which root is called nobody.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_READ_SEARCH: Final = 2
_CAPABILITY_VERSION: Final = 0x20080522
_CLONE_NEWUSER: Final = 0x10000000


def make_private(folder: Path) -> None:
    """A folder of the database's user alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    user = _nobody()
    if user is not None and _is_known(user):
        os.chown(folder, user.pw_uid, user.pw_gid)


def becomes_its_user(signal_number: signal.Signals) -> Callable[[], None]:
    """What the child does before it is PostgreSQL: leave root behind, and see to it that it gets the signal when its parent ends."""
    parent, user = os.getpid(), _nobody()
    is_known = user is not None and _is_known(user)

    def become() -> None:
        if user is not None and is_known:
            _check(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            bit = 1 << _CAP_DAC_READ_SEARCH
            _check(_LIBC.capset(struct.pack("Ii", _CAPABILITY_VERSION, 0), struct.pack("6I", bit, bit, bit, 0, 0, 0)))
            _check(_LIBC.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0))
        elif user is not None:
            _check(_LIBC.unshare(_CLONE_NEWUSER))
            for name, text in (("setgroups", "deny"), ("uid_map", f"{user.pw_uid} 0 1"), ("gid_map", f"{user.pw_gid} 0 1")):
                Path("/proc/self", name).write_text(text)
        # After the change of user, which would undo it.
        _check(_LIBC.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0))
        if os.getppid() != parent:
            os._exit(1)

    return become


def _nobody() -> pwd.struct_passwd | None:
    """Whom to be instead of root; None where we are not root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _is_known(user: pwd.struct_passwd) -> bool:
    """Whether this namespace has such a user and group."""

    def holds(table: str, number: int) -> bool:
        ranges = [[int(word) for word in line.split()] for line in Path("/proc/self", table).read_text().splitlines()]
        return any(first <= number < first + count for first, _, count in ranges)

    return holds("uid_map", user.pw_uid) and holds("gid_map", user.pw_gid)


def _check(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
