"""A multipart form, as browsers and curl send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.running_mesh import Answer, RunningMesh

_BOUNDARY: Final = "-----a-line-that-is-in-no-file"
CONTENT_TYPE: Final = f"multipart/form-data; boundary={_BOUNDARY}"


@dataclass(frozen=True)
class File:
    content: bytes
    name: str = "file.bin"
    content_type: str = "application/octet-stream"


def form(*parts: tuple[str, str | File]) -> bytes:
    """In this order."""
    body = bytearray()
    for name, value in parts:
        body += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if isinstance(value, File):
            body += f'; filename="{value.name}"\r\nContent-Type: {value.content_type}\r\n\r\n'.encode() + value.content
        else:
            body += f"\r\n\r\n{value}".encode()
        body += b"\r\n"
    return bytes(body + f"--{_BOUNDARY}--\r\n".encode())


def post_form(mesh: RunningMesh, path: str, *parts: tuple[str, str | File], **headers: str) -> Answer:
    return mesh.request("POST", path, form(*parts), {"Content-Type": CONTENT_TYPE, **headers})
