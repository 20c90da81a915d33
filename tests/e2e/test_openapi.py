"""What a running mesh answers is what its OpenAPI document says, whatever is sent that the document allows or forbids."""

from __future__ import annotations

import json
import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import checks

from gateway import openapi
from gateway.code_samples import DEFAULT_BASE
from gateway.server import routes_of
from gateway.settings import Settings
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

EXAMPLES = 8
"""Requests that are made up for each operation, beside those that cover its parameters one by one."""

# What has the right shape is not always taken, such as a URL that leads nowhere, and a documented 503 is no defect.
NOT_PROMISED = (checks.positive_data_acceptance, checks.not_a_server_error)


WITH_DEMO = Settings(demo=True)
"""As the tests' mesh has it."""


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


DOCUMENT = json.dumps(openapi.document(routes_of(WITH_DEMO), WITH_DEMO))
# Its examples are pictures that are there for everyone; the tests ask nobody outside.
schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.replace("picsum.photos", "media.example.com")))
# The media have their routes from the same code: one of them speaks for all, and the time goes to what differs.
one_medium = schema.exclude(path_regex="/(audio|video)/")


def test_document_is_served(mesh: RunningMesh) -> None:
    assert mesh.get("/openapi.json").json == json.loads(DOCUMENT.replace(DEFAULT_BASE, f"http://127.0.0.1:{mesh.port}"))


@one_medium.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_no_answer_is_undocumented(case: schemathesis.Case[Any], mesh: RunningMesh, project: Project) -> None:
    response = case.call(base_url=f"http://127.0.0.1:{mesh.port}", headers={"Authorization": f"Bearer {project.key}"})
    assert response.status_code != 500, response.text
    case.validate_response(response, excluded_checks=list(NOT_PROMISED))


def test_examples_of_errors_are_what_is_answered(mesh: RunningMesh, origin: Origin) -> None:
    picture = origin.serve("example.jpg", encoded(photo(1), "JPEG"))
    large = origin.serve("large.jpg", encoded(photo(1), "JPEG") + bytes(15 * 1024 * 1024))
    answers = [
        mesh.match(picture, "http://10.0.0.1/copy.webp"),
        mesh.match(picture, origin.url("nothing-here.jpg")),
        mesh.match(picture, large),
        mesh.match(picture, origin.serve("page.jpg", b"<html></html>")),
        mesh.match("x" * 70_000, ""),
        mesh.post("/image/match", {}),
    ]
    responses = schema.raw_schema["paths"]["/image/match"]["post"]["responses"]
    for answer in answers:
        said = dict(answer.json["error"])
        example = dict(responses[str(answer.status)]["content"]["application/json"]["examples"][said["code"]]["value"]["error"])
        del said["request_id"], example["request_id"]
        assert re.sub(r"is [\d,]+ bytes", "is so many bytes", str(said)) == re.sub(r"is [\d,]+ bytes", "is so many bytes", str(example))
