"""Pages, and what they load: from here and from no other host.

Each folder of static/ is a set of pages with their scripts and style. These lie under a path that names their content, so a browser keeps
them for good, and a page never meets scripts of another release.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Self

from aiohttp import ETag, web

from gateway.routes import Handler, Key, Route
from mesh.errors import NotFound

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes as they are served, read once."""

    plain: bytes
    packed: bytes
    etag: str

    @classmethod
    def of(cls, plain: bytes) -> Self:
        return cls(plain, gzip.compress(plain, 6, mtime=0), hashlib.sha256(plain).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class Folder:
    """Of static/."""

    version: str
    pages: dict[str, str]
    assets: dict[str, Content]

    @classmethod
    @cache
    def read(cls, name: str) -> Self:
        files = {path.name: path.read_bytes() for path in sorted((STATIC / name).iterdir())}
        assets = {file: content for file, content in files.items() if Path(file).suffix in _TYPES}
        named = b"".join(file.encode() + b"\0" + content + b"\0" for file, content in assets.items())
        pages = {file: content.decode() for file, content in files.items() if file.endswith(".html")}
        return cls(hashlib.sha256(named).hexdigest()[:16], pages, {file: Content.of(content) for file, content in assets.items()})


def page(request: web.Request, folder: str, file: str, policy: str, facts: Mapping[str, str] | None = None) -> web.Response:
    """With the facts in their places, and `{assets}` for where its scripts are."""
    found = Folder.read(folder)
    html = found.pages[file]
    for place, value in {"assets": f"{folder}/{found.version}", **(facts or {})}.items():
        html = html.replace(f"{{{place}}}", value)
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return _answer(request, Content.of(html.encode()), "text/html", headers)


def page_route(name: str, path: str, handler: Handler, summary: str, description: str = "") -> Route:
    return Route(
        name=name,
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        description=description,
        key=Key.NEVER,
        answer=str,
        answer_type="text/html",
    )


def assets_route(folder: str) -> Route:
    """All that the pages of a folder load; read before the first one asks."""
    found = Folder.read(folder)

    async def handle(request: web.Request) -> web.Response:
        """GET /{folder}/{version}/{file}"""
        name = request.match_info["file"]
        if name not in found.assets:
            raise NotFound()
        # While a new release comes, the page of one gateway may ask another one: it gets what there is, and keeps it for this once.
        is_this_one = request.match_info["version"] == found.version
        headers = {"Cache-Control": _FOR_GOOD if is_this_one else "no-cache"}
        return _answer(request, found.assets[name], _TYPES[Path(name).suffix], headers)

    return Route(
        name=f"{folder}_asset",
        method="GET",
        path=f"/{folder}/{{version}}/{{file}}",
        handler=handle,
        summary="What the page looks like and is run by",
        key=Key.NEVER,
        answer=str,
        answer_type="text/javascript",
        other_answers={"text/css": str},
        errors=(NotFound,),
    )


def _answer(request: web.Request, content: Content, content_type: str, headers: Mapping[str, str]) -> web.Response:
    if ETag(content.etag) in (request.if_none_match or ()):
        response = web.Response(status=304, headers={**_HEADERS, **headers})
    else:
        is_packed = "gzip" in request.headers.get("Accept-Encoding", "")
        response = web.Response(
            body=content.packed if is_packed else content.plain,
            headers={**_HEADERS, **headers, **({"Content-Encoding": "gzip"} if is_packed else {})},
            content_type=content_type,
            charset="utf-8",
        )
    response.etag = content.etag
    return response
