"""A name server on loopback that answers what a test says: addresses, a failure, or nothing at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Self

A, AAAA = 1, 28
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
SILENT = -1

Records = tuple[str, ...] | int
"""Addresses of either family, a failure's number, or SILENT. A name that is not known does not exist."""


class NameServer(asyncio.DatagramProtocol):
    """Every answer may be kept for no time at all. `asked` are the names as they came in."""

    def __init__(self, records: Mapping[str, Records | Callable[[], Records]], port: int = 0) -> None:
        self.records = records
        self.asked: list[str] = []
        self._port = port

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self._port))
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
        code, addresses = (found, ()) if isinstance(found, int) else (0, found)
        answers = [_answer(text) for text in addresses if (AAAA if ":" in text else A) == kind]
        header = data[:2] + struct.pack("!5H", 0x8180 | code, 1, len(answers), 0, 0)
        self._transport.sendto(header + data[12:end] + b"".join(answers), address)


def _read_question(question: bytes) -> tuple[str, int]:
    labels = []
    while length := question[0]:
        labels.append(question[1 : 1 + length].decode())
        question = question[1 + length :]
    return ".".join(labels), struct.unpack("!H", question[1:3])[0]


def _answer(text: str) -> bytes:
    family, kind = (socket.AF_INET6, AAAA) if ":" in text else (socket.AF_INET, A)
    packed = socket.inet_pton(family, text)
    # The name is where the question has it.
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed
