"""The pages at / that let someone try the mesh in a browser: a page, its modules and its style, from here and from no other host.

All of it lies under a path that names its content, so a browser keeps it for good, and a page never meets modules of another release.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from aiohttp import ETag, web

from gateway.routes import SETTINGS, Key, Route
from mesh.errors import NotFound

STATIC: Final = Path(__file__).parent / "static" / "playground"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
_PAGES: Final = ("index.html", "studio.html")
_STYLE: Final = "playground.css"

# blob: is what a dropped file is shown from. A picture that is only a URL stays unseen: its host would learn who looks, and the page is to
# reach nothing but its gateway.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{hosts}; media-src blob:{hosts}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# Whoever asks to see them (?previews=on) gets the same page with the hosts let in, for pictures and films alone.
_ANY_HOST: Final = " https: http:"
_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Playground:
    """What is served, read once."""

    version: str
    pages: dict[str, str]
    assets: dict[str, bytes]

    @classmethod
    def read(cls) -> Self:
        files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES}
        named = b"".join(name.encode() + b"\0" + content + b"\0" for name, content in files.items())
        return cls(hashlib.sha256(named).hexdigest()[:16], {name: (STATIC / name).read_text() for name in _PAGES}, files)


PLAYGROUND: Final = web.AppKey("playground", Playground)


async def page(request: web.Request) -> web.Response:
    """GET /"""
    return _page(request, "index.html")


async def studio(request: web.Request) -> web.Response:
    """GET /studio"""
    return _page(request, "studio.html")


def _page(request: web.Request, name: str) -> web.Response:
    playground, settings = request.app[PLAYGROUND], request.app[SETTINGS]
    has_hosts = request.query.get("previews") == "on"
    facts = {
        "{assets}": f"playground/{playground.version}",
        "{auth}": "on" if settings.guards_pairs else "off",
        "{demo}": "on" if settings.demo else "off",
        "{previews}": "on" if has_hosts else "off",
        "{uploads}": "on" if "search_image_by_upload" in request.app.router else "off",
    }
    html = playground.pages[name]
    for place, value in facts.items():
        html = html.replace(place, value)
    policy = _POLICY.format(hosts=_ANY_HOST if has_hosts else "")
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", **_HEADERS}
    return _answer(request, html.encode(), "text/html", headers)


async def module(request: web.Request) -> web.Response:
    """GET /playground/{version}/{file}"""
    return _asset(request, request.match_info["file"], ".js")


async def style(request: web.Request) -> web.Response:
    """GET /playground/{version}/playground.css"""
    return _asset(request, _STYLE, ".css")


def _asset(request: web.Request, name: str, suffix: str) -> web.Response:
    playground = request.app[PLAYGROUND]
    if not name.endswith(suffix) or name not in playground.assets:
        raise NotFound()
    # While a new release comes, the page of one gateway may ask another one: it gets what there is, and keeps it for this once.
    is_this_one = request.match_info["version"] == playground.version
    headers = {"Cache-Control": _FOR_GOOD if is_this_one else "no-cache", **_HEADERS}
    return _answer(request, playground.assets[name], _TYPES[suffix], headers)


def _answer(request: web.Request, content: bytes, content_type: str, headers: dict[str, str]) -> web.Response:
    etag = hashlib.sha256(content).hexdigest()[:32]
    if ETag(etag) in (request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=content, headers=headers, content_type=content_type, charset="utf-8")
    response.etag = etag
    return response


ROUTES: Final = (
    Route(
        name="playground",
        method="GET",
        path="/",
        handler=page,
        summary="A page to try pairs and searches on",
        description="Served where PLAYGROUND is on. It holds nothing of its own: it calls the routes below with what is dropped on it.",
        key=Key.NEVER,
        answer=str,
        answer_type="text/html",
    ),
    Route(
        name="studio",
        method="GET",
        path="/studio",
        handler=studio,
        summary="A page that says where a match begins, by scores of your own",
        description="Served where PLAYGROUND is on; it calls POST /thresholds/analyse with what it is given.",
        key=Key.NEVER,
        answer=str,
        answer_type="text/html",
    ),
    Route(
        name="playground_style",
        method="GET",
        path="/playground/{version}/playground.css",
        handler=style,
        summary="What the page looks like",
        key=Key.NEVER,
        answer=str,
        answer_type="text/css",
    ),
    Route(
        name="playground_module",
        method="GET",
        path="/playground/{version}/{file}",
        handler=module,
        summary="What the page is run by",
        key=Key.NEVER,
        answer=str,
        answer_type="text/javascript",
        errors=(NotFound,),
    ),
)
