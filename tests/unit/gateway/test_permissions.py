"""What docs/permissions.md says of each request is what the gateway asks for, and no key opens what makes keys."""

from __future__ import annotations

import re

from gateway.routes import Key
from gateway.server import ROUTES
from index_svc.keys import SCOPES
from tests.running_mesh import ROOT

TABLE = dict(re.findall(r"^\| `([A-Z]+ \S+)` \| (.+) \|$", (ROOT / "docs/permissions.md").read_text(), re.MULTILINE))
DECIDED_BY_WHAT_IT_IS_ABOUT = {"/v1/assets/{id}/retry", "/v1/jobs/{id}/cancel", "/v1/index/bulk/csv", "/v1/index/bulk/zip"}


def test_page_has_every_request_that_asks_for_a_key_and_its_scope() -> None:
    asking = {f"{route.method} {route.path}": route for route in ROUTES if route.key is not Key.NEVER}
    assert TABLE.keys() == asking.keys()
    for request, route in asking.items():
        if route.scope:
            assert TABLE[request] == f"`{route.scope}`"
        elif route.path in DECIDED_BY_WHAT_IT_IS_ABOUT:
            assert "`{type}:index`" in TABLE[request]
        else:
            assert "key" in TABLE[request] and route.key is not Key.ALWAYS


def test_every_scope_grants_something_and_no_other_is_asked_for() -> None:
    assert {route.scope for route in ROUTES if route.scope} == set(SCOPES)


def test_no_request_makes_changes_or_ends_keys_projects_or_plans() -> None:
    named = {part for route in ROUTES for part in route.path.strip("/").split("/")}
    assert not named & {"key", "keys", "project", "projects", "plan", "plans", "user", "users", "organizations", "members"}
