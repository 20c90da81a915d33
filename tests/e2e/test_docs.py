"""The reference is a page that needs nothing from anywhere else, and lets nothing else in."""

from __future__ import annotations

import hashlib
import re

from gateway.docs import STATIC
from tests.running_mesh import RunningMesh


def test_page_loads_scripts_of_its_own_and_no_others(mesh: RunningMesh) -> None:
    page = mesh.get("/docs")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    html = page.body.decode()
    scripts = re.findall(r"<script([^>]*)>([^<]*)</script>", html)
    assert scripts
    for attributes, inline in scripts:
        assert not inline
        source = re.search(r'src="([^"]+)"', attributes)
        assert source is not None
        assert mesh.get(f"/{source[1]}").headers["content-type"].startswith("text/javascript")
    assert "//" not in html


def test_policy_of_the_page_names_no_other_host_and_no_inline_script(mesh: RunningMesh) -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in mesh.get("/docs").headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in str(rules)
    assert "http" not in str(rules)


def test_viewer_is_served_as_it_was_published(mesh: RunningMesh) -> None:
    viewer = mesh.get("/docs/redoc.standalone.js").body
    assert hashlib.sha256(viewer).hexdigest() == "8c70c2de83d33e33a75b225e573d6d9fe851f066f824b44b1637d831d52d7543"
    assert (STATIC / "redoc.LICENSE").read_text().startswith("The MIT License")


def test_nothing_else_of_the_folder_is_served(mesh: RunningMesh) -> None:
    for path in ("/docs/README.md", "/docs/redoc.LICENSE", "/docs/..%2fdocs.py", "/docs/"):
        assert (mesh.get(path).status, mesh.get(path).code) == (404, "not_found")
