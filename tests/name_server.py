"""A name server on loopback that answers what a test says: addresses, aliases, a failure, or nothing at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Self

A, CNAME, AAAA = 1, 5, 28
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
SILENT = -1

Records = tuple[str, ...] | int
"""Addresses of either family, after the aliases that lead to them; a failure's number, or SILENT."""


class NameServer(asyncio.DatagramProtocol):
    """Every answer may be kept for no time at all; a name that is not known does not exist. `asked` are the names as they came in."""

    def __init__(
        self, records: Mapping[str, Records | Callable[[], Records]], port: int = 0, listening: socket.socket | None = None
    ) -> None:
        self.records = records
        self.asked: list[str] = []
        self.delays: dict[str, float] = {}
        """How many seconds pass from the first question for a name until its answer is known."""
        self._known_from: dict[str, float] = {}
        self._port, self._listening = port, listening

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        where = {"sock": self._listening} if self._listening else {"local_addr": ("127.0.0.1", self._port)}
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, **where)
        host, port = self._transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        name, kind = _read_question(data[12:end])
        self.asked.append(name)
        records = self.records.get(name, NXDOMAIN)
        found = records() if callable(records) else records
        if found == SILENT:
            return
        code, texts = (found, ()) if isinstance(found, int) else (0, found)
        answers = _answers(texts, kind)
        header = data[:2] + struct.pack("!5H", 0x8180 | code, 1, len(answers), 0, 0)
        message = header + data[12:end] + b"".join(answers)
        loop = asyncio.get_running_loop()
        loop.call_at(self._known_from.setdefault(name, loop.time() + self.delays.get(name, 0.0)), self._transport.sendto, message, address)


def _read_question(question: bytes) -> tuple[str, int]:
    labels = []
    while length := question[0]:
        labels.append(question[1 : 1 + length].decode())
        question = question[1 + length :]
    return ".".join(labels), struct.unpack("!H", question[1:3])[0]


def _answers(texts: tuple[str, ...], wanted: int) -> list[bytes]:
    answers = []
    owner = b"\xc0\x0c"  # the name is where the question has it
    for text in texts:
        if text[-1].isalpha() and ":" not in text:
            kind, content = CNAME, b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"
        else:
            family, kind = (socket.AF_INET6, AAAA) if ":" in text else (socket.AF_INET, A)
            content = socket.inet_pton(family, text)
        if kind in (CNAME, wanted):
            answers.append(owner + struct.pack("!HHIH", kind, 1, 0, len(content)) + content)
        if kind == CNAME:
            owner = content
    return answers
