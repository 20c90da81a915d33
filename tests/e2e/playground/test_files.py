"""What the playground is made of, as it is served: types, caching, and a policy that lets nothing else in."""

from __future__ import annotations

import gzip
import re

from aiohttp import web

from gateway.pages import STATIC
from gateway.server import build
from gateway.settings import Settings
from tests.running_mesh import RunningMesh


def assets(mesh: RunningMesh) -> str:
    """The folder that the page names."""
    found = re.search(r'src="(playground/[0-9a-f]+)/app\.js"', mesh.get("/").body.decode())
    assert found is not None
    return found[1]


def rules(mesh: RunningMesh, path: str) -> dict[str, str]:
    policy = mesh.get(path).headers["content-security-policy"]
    return dict(rule.strip().split(" ", 1) for rule in policy.split(";"))


def test_page_is_asked_for_anew_and_answered_only_where_it_changed(mesh: RunningMesh) -> None:
    page = mesh.get("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-cache"
    again = mesh.request("GET", "/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["content-security-policy"] == page.headers["content-security-policy"]
    assert mesh.request("GET", "/", headers={"If-None-Match": '"another"'}).status == 200


def test_files_of_the_page_are_kept_for_good(mesh: RunningMesh) -> None:
    for path in (STATIC / "playground").iterdir():
        if path.suffix in (".js", ".css"):
            served = mesh.get(f"/{assets(mesh)}/{path.name}")
            assert served.body == path.read_bytes()
            assert served.headers["content-type"] == f"text/{'css' if path.suffix == '.css' else 'javascript'}; charset=utf-8"
            assert "immutable" in served.headers["cache-control"]
            assert served.headers["x-content-type-options"] == "nosniff"


def test_what_a_browser_can_unpack_comes_packed(mesh: RunningMesh) -> None:
    for path in ("/", "/docs", f"/{assets(mesh)}/app.js"):
        packed = mesh.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
        assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert gzip.decompress(packed.body) == mesh.get(path).body


def test_files_of_another_release_are_not_kept(mesh: RunningMesh) -> None:
    served = mesh.get("/playground/0123456789abcdef/app.js")
    assert (served.status, served.headers["cache-control"]) == (200, "no-cache")


def test_nothing_else_is_served(mesh: RunningMesh) -> None:
    folder = assets(mesh)
    for name in ("index.html", "..%2findex.html", "..%2f..%2fdocs.js", "%2fetc%2fpasswd", "nothing.js", ""):
        assert (mesh.get(f"/{folder}/{name}").status, name) == (404, name)


def test_policy_names_no_host_and_nothing_inline(mesh: RunningMesh) -> None:
    policy = rules(mesh, "/")
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"unsafe|http|\*|//", str(policy))
    html = mesh.get("/").body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script[^>]*>[^<]", html)


def test_who_asks_for_previews_lets_hosts_in_for_what_is_seen_and_heard_alone(mesh: RunningMesh) -> None:
    strict, open_ = rules(mesh, "/"), rules(mesh, "/?previews=on")
    assert {name for name in strict if strict[name] != open_[name]} == {"img-src", "media-src"}
    assert open_["media-src"] == "blob: https: http:"
    assert rules(mesh, "/?previews=off") == rules(mesh, "/?previews=https:") == strict


def test_modules_make_no_markup_from_strings_and_keep_nothing() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|localStorage|sessionStorage|indexedDB|document\.cookie"
    )
    for path in (STATIC / "playground").glob("*.js"):
        assert not forbidden.search(path.read_text()), path.name


def test_with_playground_off_there_is_no_page() -> None:
    def paths(app: web.Application) -> set[str]:
        return {resource.canonical for resource in app.router.resources()}

    gone = paths(build(Settings())) - paths(build(Settings(playground=False)))
    assert gone == {"/", "/studio", "/playground/{version}/{file}"}


def test_page_says_whether_a_key_is_asked_for(mesh: RunningMesh) -> None:
    html = mesh.get("/").body.decode()
    assert 'data-auth="off"' in html
    assert "{" not in re.sub(r"<svg.*?</svg>", "", html)
