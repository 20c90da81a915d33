"""A network of its own, in which every address there is lies on loopback: what dials anywhere ends up with the test.

Its sockets are made inside and handed out, so that a test listens to, and counts, what a mesh in there does. What runs in
the namespace is this file itself. Invariant: there is no way out.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, Self

MAX_MESSAGE_BYTES: Final = 4096


class NoNamespace(Exception):
    """The kernel or the container gives this user no namespaces."""


class Namespace:
    """Enter it to make it; whoever is still inside when it is left is the caller's to end."""

    def __init__(self, folder: Path, search_domain: str) -> None:
        self._folder, self._search_domain = folder, search_domain
        self._one_at_a_time = threading.Lock()
        self._own_dials = 0

    def __enter__(self) -> Self:
        resolver = self._folder / "resolv.conf"
        resolver.write_text(f"nameserver 127.0.0.1\nsearch {self._search_domain}\noptions ndots:5\n")
        script = "; ".join(
            (
                f"mount --bind {resolver} /etc/resolv.conf",
                "ip link set lo up",
                "ip route add local 0.0.0.0/0 dev lo",
                "ip -6 route add local ::/0 dev lo",
                'exec "$@"',
            )
        )
        if missing := [tool for tool in ("unshare", "nsenter", "ip", "mount") if shutil.which(tool) is None]:
            raise NoNamespace(f"{', '.join(missing)} not found")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                ["unshare", "-rnm", "sh", "-ec", script, "sh", sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stderr=subprocess.PIPE,
                text=True,
            )
        if not self._control.recv(MAX_MESSAGE_BYTES):
            _, problem = self._process.communicate()
            raise NoNamespace(problem.strip())
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.communicate()

    def command(self, *words: str, folder: Path) -> list[str]:
        """What runs these words inside, in this working folder, as the process that is started."""
        return ["nsenter", "--preserve-credentials", "-U", "-n", "-m", f"--wd={folder}", "-t", str(self._process.pid), *words]

    def listen(self, port: int) -> socket.socket:
        """Takes connections to this port of any address, of either family."""
        return self._ask("listen", "::", port)

    def take_datagrams(self, host: str, port: int) -> socket.socket:
        return self._ask("datagrams", host, port)

    def connect(self, host: str, port: int) -> socket.socket:
        self._own_dials += 1
        return self._ask("connect", host, port)

    @property
    def dials(self) -> int:
        """How many TCP connections anybody in here has ever begun, wherever to, answered or not: `connect` apart."""
        names, values = (
            line.split() for line in Path(f"/proc/{self._process.pid}/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
        )
        return int(values[names.index("ActiveOpens")]) - self._own_dials

    def _ask(self, kind: str, host: str, port: int) -> socket.socket:
        with self._one_at_a_time:
            self._control.send(json.dumps([kind, host, port]).encode())
            answer, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE_BYTES, 1)
        if not descriptors:
            raise ConnectionRefusedError(answer.decode())
        return socket.socket(fileno=descriptors[0])


def _make(kind: str, host: str, port: int) -> socket.socket:
    if kind == "connect":
        made = socket.create_connection((host, port), timeout=5)
        made.setblocking(True)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    if kind == "listen":
        return socket.create_server((host, port), family=socket.AF_INET6, backlog=256, dualstack_ipv6=True)
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, port))
    return made


def _serve(control: socket.socket) -> None:
    control.send(b"up")
    while request := control.recv(MAX_MESSAGE_BYTES):
        wanted: list[Any] = json.loads(request)
        try:
            with _make(*wanted) as made:
                socket.send_fds(control, [b"made"], [made.fileno()])
        except OSError as problem:
            control.send(os.strerror(problem.errno or 0).encode())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
