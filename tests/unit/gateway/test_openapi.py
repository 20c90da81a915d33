"""The document says what the gateway does: every route, every code, and examples that fit."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import openapi
from gateway.docs import DOCUMENT
from gateway.openapi import API_VERSION
from gateway.routes import JSON, Key, Route
from gateway.schemas import read_body
from gateway.server import ROUTES, build
from gateway.settings import Settings
from mesh.errors import BY_CODE
from tests.running_mesh import ROOT

DOCUMENTED = openapi.document(ROUTES, Settings())
OPERATIONS = {
    f"{method.upper()} {path}": operation for path, methods in DOCUMENTED["paths"].items() for method, operation in methods.items()
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


def test_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENTED).validate()


def test_every_route_of_the_application_is_documented_and_nothing_else_is() -> None:
    app = build(Settings(demo=True))
    served = {f"{route.method} {route.resource.canonical}" for route in app.router.routes() if route.resource and route.method != "HEAD"}
    assert served == set(OPERATIONS)
    assert app[DOCUMENT] == DOCUMENTED


def test_three_media_take_one_and_the_same_request() -> None:
    bodies = [OPERATIONS[f"POST /{medium}/match"]["requestBody"]["content"][JSON]["schema"] for medium in ("image", "video", "audio")]
    assert bodies == [{"$ref": "#/components/schemas/MatchRequest"}] * 3


def test_every_code_is_documented_with_its_status() -> None:
    for code, error in BY_CODE.items():
        is_public = code != "fingerprint_mismatch"
        assert (f"| `{code}` | {error.http_status} |" in DOCUMENTED["info"]["description"]) == is_public


@every_operation
def test_every_documented_code_stands_under_its_status(operation: dict[str, Any]) -> None:
    for status, failure in _failures(operation):
        for code in failure["content"][JSON]["examples"]:
            assert BY_CODE[code].http_status == status


@every_operation
def test_every_failure_that_passes_says_when_to_come_back(operation: dict[str, Any]) -> None:
    for status, failure in _failures(operation):
        is_rate = set(failure["content"][JSON]["examples"]) == {"rate_limited"}
        assert ("Retry-After" in failure["headers"]) == (status in (503, 504) or is_rate)


@every_operation
def test_every_answer_carries_its_request_id(operation: dict[str, Any]) -> None:
    assert all("X-Request-Id" in answer["headers"] for answer in operation["responses"].values())


@every_operation
def test_every_example_fits_its_schema(operation: dict[str, Any]) -> None:
    shown = [*operation["responses"].values(), operation.get("requestBody", {})]
    for content in [content for part in shown for content in part.get("content", {}).values()]:
        given = [content["example"]] if "example" in content else [example["value"] for example in content.get("examples", {}).values()]
        for example in given:
            jsonschema.validate(example, {**content["schema"], "components": DOCUMENTED["components"]})


@every_route
def test_every_example_of_a_request_is_understood(route: Route) -> None:
    if JSON in route.bodies:
        assert route.example_request is not None
        read_body(msgspec.json.encode(route.example_request), route.bodies[JSON])


@every_route
def test_every_answer_has_an_example(route: Route) -> None:
    is_page = route.path in ("/", "/studio") or route.path.startswith(("/openapi.json", "/docs", "/playground/"))
    assert route.answer is None or route.example_answer is not None or is_page


def test_route_without_a_key_says_so() -> None:
    for route in ROUTES:
        security = OPERATIONS[f"{route.method} {route.path}"]["security"]
        assert (security == []) == (route.key in (Key.NEVER, Key.DEMO))
        assert ({} in security) == (route.key is Key.WITH_AUTH)


def test_with_auth_on_no_pair_goes_without_a_key() -> None:
    document = openapi.document(ROUTES, Settings(auth=True))
    assert {} not in document["paths"]["/image/match"]["post"]["security"]


@pytest.mark.parametrize(("base", "server"), [("", "/"), ("https://api.example.com/v2/", "https://api.example.com/v2")])
def test_public_base_url_is_the_server(base: str, server: str) -> None:
    assert openapi.document(ROUTES, Settings(public_base_url=base))["servers"] == [{"url": server}]


def test_version_is_that_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == API_VERSION


def _failures(operation: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for status, answer in operation["responses"].items():
        if int(status) >= 400:
            yield int(status), answer


def _samples(language: str) -> list[str]:
    found = [sample["source"] for operation in OPERATIONS.values() for sample in operation.get("x-codeSamples", [])]
    assert len(found) >= 3 * len([route for route in ROUTES if route.answer_type == JSON])
    return [
        sample["source"] for operation in OPERATIONS.values() for sample in operation.get("x-codeSamples", []) if sample["lang"] == language
    ]


def test_every_sample_in_python_compiles() -> None:
    for source in _samples("python"):
        compile(source, "sample", "exec")


def test_every_sample_for_a_shell_parses() -> None:
    subprocess.run(["bash", "-n"], input="\n".join(_samples("curl")), text=True, check=True, timeout=30)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_every_sample_in_javascript_parses() -> None:
    functions = "\n".join(f"(async () => {{\n{source}\n}})" + ";" for source in _samples("javascript"))
    subprocess.run(["node", "--check", "-"], input=functions, text=True, check=True, timeout=30)
