"""Which system calls a worker is refused, as a seccomp filter in classic BPF, for x86_64 and aarch64.

A refused call fails with EPERM and never kills: decoders look for features and files that they can do without.
Numbers, offsets and flags are those of linux/seccomp.h, linux/filter.h, linux/audit.h and each architecture's unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

LIBC = ctypes.CDLL(None, use_errno=True)

SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
SYSCALL_NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; both architectures are little-endian, so an argument's low half comes first."""

X32 = 0x40000000
"""From this number on x86_64 takes calls of its 32-bit pointer interface, whose numbers would slip past the table."""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column in the table below, and AUDIT_ARCH."""

CALLS: dict[str, tuple[int | None, int | None]] = {
    # name: number on x86_64 (asm/unistd_64.h), on aarch64 (asm-generic/unistd.h)
    "seccomp": (317, 277),
    "capset": (126, 91),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    # the network; the pool's own socket is used by read, write and recvmsg
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # other programs and processes
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    # changing what is on disk
    "creat": (85, None),
    "truncate": (76, 45),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    # the kernel's wider doors, behind most of its escapes
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
}

UNTOUCHED = {"seccomp", "capset", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
"""Only ever take rights away, so they stay."""

ABSENT = {"clone3", "openat2"}
"""Their flags lie in memory, where a filter cannot look: ENOSYS makes the C library fall back to clone and openat."""

CLONE_THREAD = 0x00010000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def system_call(name: str, *arguments: object) -> int:
    """Calls the kernel past the C library, which does not know all of these; -1 where it refuses."""
    column, _ = MACHINES.get(platform.machine(), (0, 0))
    number = CALLS[name][column]
    return -1 if platform.machine() not in MACHINES else int(LIBC.syscall(number, *arguments))


def refuse_dangerous_calls() -> bool:
    """In all threads of this process and for good; False where the kernel has no seccomp or the machine is another."""
    if platform.machine() not in MACHINES:
        return False
    instructions = b"".join(_program(*MACHINES[platform.machine()]))
    code = ctypes.create_string_buffer(instructions, len(instructions))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(instructions) // 8, ctypes.addressof(code)))
    return system_call("seccomp", SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program) == 0


def _program(column: int, architecture: int) -> Iterator[bytes]:
    """Classic BPF: each rule is a short block that a call of another number jumps over."""
    refuse = _instruction(RETURN, REFUSE | errno.EPERM)
    myself = os.getpid()
    yield from (_instruction(LOAD, ARCHITECTURE), _instruction(JUMP_IF_EQUAL, architecture, 1, 0), refuse)
    yield _instruction(LOAD, SYSCALL_NUMBER)
    yield from (_instruction(JUMP_IF_AT_LEAST, X32, 0, 1), refuse)
    for name, numbers in CALLS.items():
        if (number := numbers[column]) is None or name in UNTOUCHED:
            continue
        match name:
            case "clone":
                block = [*_argument(0), _instruction(JUMP_IF_ANY_BIT, CLONE_THREAD, 1, 0), refuse]
            case "open" | "openat":
                block = [*_argument(1 if name == "open" else 2), _instruction(JUMP_IF_ANY_BIT, WRITING, 0, 1), refuse]
            case "kill" | "tgkill":
                block = [*_argument(0), _instruction(JUMP_IF_EQUAL, myself, 1, 0), refuse]
            case "prlimit64":
                block = [*_argument(0), _instruction(JUMP_IF_EQUAL, 0, 2, 0), _instruction(JUMP_IF_EQUAL, myself, 1, 0), refuse]
            case _:
                block = [_instruction(RETURN, REFUSE | (errno.ENOSYS if name in ABSENT else errno.EPERM))]
        if len(block) > 1:
            block.append(_instruction(RETURN, ALLOW))
        yield _instruction(JUMP_IF_EQUAL, number, 0, len(block))
        yield from block
    yield _instruction(RETURN, ALLOW)


def _argument(index: int) -> list[bytes]:
    return [_instruction(LOAD, ARGUMENTS + 8 * index)]


def _instruction(code: int, constant: int, skip_if_true: int = 0, skip_if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, skip_if_true, skip_if_false, constant)
