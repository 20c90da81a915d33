"""Rows P07 and P08: what a client may send. It is refused before any service is asked."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.e2e.test_api import ERROR
from tests.hostile.world import World

PAIR = b'"source_url":"http://www.example.com/photo.jpg","target_url":"http://www.example.com/copy.webp"'
DEEP = b"[" * 30_000

BODIES: dict[str, tuple[bytes, int]] = {
    "64 KB and one byte": (b"{" + PAIR + b" " * (65_536 - len(PAIR) - 1) + b"}", 413),
    "30,000 brackets": (DEEP, 400),
    "30,000 closed brackets": (DEEP + b"]" * 30_000, 400),
    "30,000 braces": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "brackets in a field": (b"{" + PAIR + b',"include":' + DEEP + b"]" * 30_000 + b"}", 400),
    "5,000 digits": (b"{" + PAIR + b',"threshold":' + b"9" * 5000 + b"}", 400),
    "5,000 digits for a URL": (b'{"source_url":' + b"9" * 5000 + b',"target_url":"a"}', 400),
    "NaN": (b"{" + PAIR + b',"threshold":NaN}', 400),
    "Infinity": (b"{" + PAIR + b',"threshold":1e999}', 400),
    "lone surrogate": (b'{"source_url":"\\ud800","target_url":"http://example.com/"}', 400),
    "lone surrogate in UTF-8": (b'{"source_url":"\xed\xa0\x80","target_url":"http://example.com/"}', 400),
    "UTF-16": (("{" + PAIR.decode() + "}").encode("utf-16"), 400),
    "broken UTF-8": (b'{"source_url":"\xff","target_url":"b"}', 400),
    "NUL": (b'{"source_url":"http://example.com/\\u0000","target_url":"b"}', 400),
    "array": (b"[{" + PAIR + b"}]", 400),
    "string": (b'"a"', 400),
    "null": (b"null", 400),
    "nothing": (b"", 400),
    "another key": (b"{" + PAIR + b',"admin":true}', 400),
    "__proto__": (b"{" + PAIR + b',"__proto__":{}}', 400),
    "two documents": (b"{" + PAIR + b"}{" + PAIR + b"}", 400),
    "comment": (b"{" + PAIR + b"}//", 400),
    "60,000 wrong includes": (b"{" + PAIR + b',"include":[' + b"1," * 25_000 + b"1]}", 400),
}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"P07 {name}") for name in BODIES])
def test_body_is_refused_with_a_code_and_nothing_is_dialled(world: World, name: str) -> None:
    body, status = BODIES[name]
    with world.dials() as dials:
        answer = world.mesh.request("POST", "/image/match", body, {"Content-Type": "application/json"})
    assert answer.status == status, answer
    jsonschema.validate(answer.json, ERROR)
    assert dials.count == 0
    assert len(answer.body) < 500


def test_body_of_exactly_64_kb_is_taken_p07(world: World) -> None:
    body = b"{" + PAIR + b" " * (65_536 - len(PAIR) - 2) + b"}"
    assert world.mesh.request("POST", "/image/match", body, {"Content-Type": "application/json"}).status == 200


def smuggled(head: bytes, body: bytes = b"") -> bytes:
    return b"POST /image/match HTTP/1.1\r\n" + head + b"\r\n\r\n" + body


TYPE = b"Host: a\r\nContent-Type: application/json\r\n"
SECOND = b"GET /config HTTP/1.1\r\nHost: a\r\n\r\n"

SMUGGLED = {
    "length and chunks": smuggled(TYPE + b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + SECOND),
    "two lengths": smuggled(TYPE + b"Content-Length: 0\r\nContent-Length: 36", SECOND),
    "two hosts": smuggled(b"Host: a\r\nHost: b\r\nContent-Length: 0"),
    "no host": smuggled(b"Content-Type: application/json\r\nContent-Length: 0"),
    "xchunked": smuggled(TYPE + b"Transfer-Encoding: xchunked", b"0\r\n\r\n" + SECOND),
    "chunked, identity": smuggled(TYPE + b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n" + SECOND),
    "vertical tab": smuggled(TYPE + b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n" + SECOND),
    "bare LF": b"POST /image/match HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "folded header": smuggled(TYPE + b"X: a\r\n b\r\nContent-Length: 0"),
    "space before the colon": smuggled(TYPE + b"Content-Length : 0"),
    "NUL": smuggled(TYPE + b"X: a\0b\r\nContent-Length: 0"),
    "LF in a chunk's extension": smuggled(TYPE + b"Transfer-Encoding: chunked", b"2;a\nx\r\n{}\r\n0\r\n\r\n"),
    "9 KB of header": smuggled(TYPE + b"X: " + b"banner" * 1500 + b"\r\nContent-Length: 0"),
    "300 headers": smuggled(TYPE + b"banner: y\r\n" * 300 + b"Content-Length: 0"),
    "negative length": smuggled(TYPE + b"Content-Length: -1"),
    "signed length": smuggled(TYPE + b"Content-Length: +0"),
    "HTTP/9.9": b"POST /image/match HTTP/9.9\r\nHost: a\r\n\r\n",
    "no HTTP": b"banner\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(32) + b"\r\n\r\n",
    "PRI of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("raw", [pytest.param(raw, id=f"P08 {name}") for name, raw in SMUGGLED.items()])
def test_smuggled_request_gets_one_refusal_and_the_end_of_its_connection(world: World, raw: bytes) -> None:
    before = handled(world)
    with world.mesh.connect(10) as connection:
        connection.sendall(raw)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") or head.startswith(b"HTTP/1.0 400 "), head
    jsonschema.validate(json.loads(body), ERROR)
    assert answer.count(b"HTTP/1.") == 1
    assert b"banner" not in answer
    assert handled(world) == before


def handled(world: World) -> int:
    """How many requests have reached a handler."""
    return sum(f'"route": "{route}"' in line for line in world.mesh.log.splitlines() for route in ("/image/match", "/config"))
