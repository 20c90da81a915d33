"""What a project decides by and what was decided, through the whole mesh: scores, profiles, policies, the log."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mesh.media import Profile
from tests.index_client import Project, admin, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import ROOT, Answer, RunningMesh

PATIENCE_SECONDS = 60.0
SCORES = b"score,label\n0.97,1\n0.91,1\n0.84,1\n0.44,1\n0.52,0\n0.31,0\n0.08,0\n0,0\nhigh,1\n"


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture(scope="module")
def logged(mesh: RunningMesh) -> Project:
    """A project that keeps a decision log."""
    made = new_project(mesh)
    admin(mesh, "settings", made.id, "--decision-log", "on")
    return made


@pytest.fixture(scope="module")
def pair(origin: Origin) -> dict[str, str]:
    return {
        "source_url": origin.serve("thresholds/photo.jpg", encoded(photo(1), "JPEG")),
        "target_url": origin.serve("thresholds/copy.webp", encoded(photo(1), "WEBP")),
    }


@pytest.fixture(scope="module")
def strangers(origin: Origin, pair: dict[str, str]) -> dict[str, str]:
    return {**pair, "target_url": origin.serve("thresholds/other.jpg", encoded(photo(2), "JPEG"))}


def put(project: Project, path: str, **body: object) -> Answer:
    headers = {"Authorization": f"Bearer {project.key}", "Content-Type": "application/json"}
    return project.mesh.request("PUT", path, json.dumps(body).encode(), headers)


def post_csv(project: Project, path: str, content: bytes) -> Answer:
    return project.mesh.request("POST", path, content, {"Authorization": f"Bearer {project.key}", "Content-Type": "text/csv"})


def wait_until(is_so: Callable[[], bool]) -> None:
    """What a gateway knows of a key it asks for anew within two seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline


def lines(project: Project, query: str = "") -> list[dict[str, Any]]:
    answer = project.request("GET", f"/v1/decisions?format=jsonl{query}")
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def test_scores_are_looked_at_without_a_key(mesh: RunningMesh) -> None:
    answer = mesh.request("POST", "/thresholds/analyse?cost=10", SCORES, {"Content-Type": "text/csv"})
    assert answer.status == 200, answer.body
    assert (answer.json["copies"], answer.json["others"], answer.json["refused"]) == (4, 4, 1)
    assert answer.json["errors"] == [{"line": 10, "message": "high is no score"}]
    # A false positive is dear: .52 is kept out, and .44 given up.
    assert answer.json["recommendation"]["same"] == [0.5201, 0.84]
    assert [point["name"] for point in answer.json["points"]] == ["recommended", *Profile]
    assert len(answer.json["histogram"]) == 50


def test_lanes_are_counted_beside_the_curves(mesh: RunningMesh) -> None:
    query = "lanes=%7B%22block%22%3A0.95%2C%22review%22%3A0.5%7D&otherwise=let-go"
    answer = mesh.request("POST", f"/thresholds/analyse?{query}", SCORES, {"Content-Type": "text/csv"})
    assert answer.json["lanes"] == {"block": 1, "review": 3, "let-go": 4}


@pytest.mark.parametrize(
    ("query", "content", "field"),
    [
        ("cost=0", SCORES, "cost"),
        ("prevalence=1", SCORES, "prevalence"),
        ("lanes=%7B%7D", SCORES, "lanes"),
        ("", b"a,b\n", None),
        ("", b"\xff", None),
    ],
)
def test_what_cannot_be_looked_at_is_refused(mesh: RunningMesh, query: str, content: bytes, field: str | None) -> None:
    answer = mesh.request("POST", f"/thresholds/analyse?{query}", content, {"Content-Type": "text/csv"})
    assert answer.code == "invalid_request"
    assert answer.json["error"].get("details", {}).get("field") == field


def test_own_profile_decides_pairs_of_its_project(project: Project, mesh: RunningMesh, pair: dict[str, str]) -> None:
    saved = put(project, "/v1/profiles/never", cutoffs={"image": 1.0}, note="the pilot")
    assert saved.status == 200, saved.body
    body = saved.json
    assert (body["name"], body["cutoffs"], body["note"]) == ("never", {"image": 1.0}, "the pilot")
    score = mesh.match(**pair).json["similarity_score"]
    decided = project.post("/image/match", **pair, profile="never")
    assert (decided.json["match"], decided.json["similarity_score"]) == (False, score)
    put(project, "/v1/profiles/never", cutoffs={"image": 0.1})
    assert project.post("/image/match", **pair, profile="never").json["match"] is True
    assert project.post("/image/match", **pair, profile="never", threshold=1.0).json["match"] is False
    assert project.request("GET", "/v1/profiles").json["profiles"] == [project.request("GET", "/v1/profiles/never").json]


def test_project_threshold_decides_pairs_and_searches_that_name_none(mesh: RunningMesh, pair: dict[str, str]) -> None:
    own = new_project(mesh)
    own.index(pair["source_url"])
    score = own.post("/image/match", **pair).json["similarity_score"]
    put(own, "/v1/profiles/default", cutoffs={"image": 1.0})
    wait_until(lambda: own.post("/image/match", **pair).json["match"] is False)
    decided = own.post("/image/match", **pair).json
    assert (decided["match"], decided["similarity_score"]) == (False, score)
    form = own.send_form("/image/match", ("source", encoded(photo(1), "JPEG")), ("target", encoded(photo(1), "WEBP")))
    batch = own.post("/image/match/batch", source_url=pair["source_url"], target_urls=[pair["target_url"]])
    assert (form.json["match"], batch.json["results"][0]["result"]["match"]) == (False, False)
    assert own.search(pair["target_url"]) == []
    for said in ({"profile": "general"}, {"threshold": 0.5}):
        assert own.post("/image/match", **pair, **said).json["match"] is True
        assert len(own.search(pair["target_url"], **said)) == 1
    # Nobody else's, and of no other medium.
    assert mesh.match(**pair).json["match"] is True
    put(own, "/v1/profiles/default", cutoffs={"video": 1.0})
    wait_until(lambda: own.post("/image/match", **pair).json["match"] is True)
    assert len(own.search(pair["target_url"])) == 1


def test_what_the_project_threshold_decided_is_in_the_log_by_its_name(mesh: RunningMesh, pair: dict[str, str]) -> None:
    own = new_project(mesh)
    admin(mesh, "settings", own.id, "--decision-log", "on")
    put(own, "/v1/profiles/default", cutoffs={"image": 0.7})

    def decided_by(path: str, **asked: str) -> tuple[str, float]:
        answer = own.post(path, **asked)
        (row,) = lines(own, f"&request_id={answer.headers['x-request-id']}") or [{"profile": "", "threshold": 0.0}]
        return row["profile"], row["threshold"]

    wait_until(lambda: decided_by("/image/match", **pair) == ("default", 0.7))
    assert decided_by("/v1/search/image/url", url=pair["target_url"]) == ("default", 0.7)


def test_own_profile_decides_forms_and_batches_alike(project: Project, pair: dict[str, str]) -> None:
    put(project, "/v1/profiles/perfect", cutoffs={"image": 1.0})
    batch = project.post("/image/match/batch", source_url=pair["source_url"], target_urls=[pair["target_url"]], profile="perfect")
    assert batch.json["results"][0]["result"]["match"] is False
    form = project.send_form(
        "/image/match", ("profile", "perfect"), ("source", encoded(photo(1), "JPEG")), ("target", encoded(photo(1), "WEBP"))
    )
    assert (form.status, form.json["match"]) == (200, False)


def test_profile_of_nobody_is_refused_by_name(project: Project, mesh: RunningMesh, pair: dict[str, str]) -> None:
    put(project, "/v1/profiles/mine", cutoffs={"image": 0.5})
    stranger = new_project(mesh)
    refused = [
        mesh.match(**pair, profile="mine"),
        mesh.post("/image/match", {**pair, "profile": "mine"}, Authorization="Bearer mm_live_wrong"),
        stranger.post("/image/match", **pair, profile="mine"),
        project.post("/video/match", **pair, profile="mine"),
        mesh.match(**pair, policy="mine"),
        project.post("/image/match", **pair, policy="mine"),
        stranger.post("/v1/search/image/url", url=pair["source_url"], profile="mine"),
        stranger.post("/v1/search/image/url", url=pair["source_url"], policy="mine"),
    ]
    assert [(answer.code, answer.json["error"]["details"]["field"]) for answer in refused] == [
        *(("invalid_request", "profile"),) * 4,
        *(("invalid_request", "policy"),) * 2,
        ("invalid_request", "profile"),
        ("invalid_request", "policy"),
    ]


def test_name_of_the_product_or_nonsense_is_not_taken(project: Project) -> None:
    for name in ("general", "Strict", "-a", "a" * 65):
        assert put(project, f"/v1/profiles/{name}", cutoffs={"image": 0.5}).code == "invalid_request"
    assert put(project, "/v1/profiles/none", cutoffs={}).code == "invalid_request"
    assert put(project, "/v1/policies/none", lanes={"a": 0.5, "b": 0.5}).code == "invalid_request"


def test_deleted_profile_and_policy_are_gone(project: Project, pair: dict[str, str]) -> None:
    put(project, "/v1/profiles/gone", cutoffs={"image": 0.5})
    put(project, "/v1/policies/gone", lanes={"review": 0.5})
    for kind in ("profiles", "policies"):
        assert project.request("DELETE", f"/v1/{kind}/gone").status == 204
        assert project.request("DELETE", f"/v1/{kind}/gone").code == "not_found"
        assert project.request("GET", f"/v1/{kind}/gone").code == "not_found"
    assert project.post("/image/match", **pair, profile="gone").code == "invalid_request"


def test_lane_is_said_where_a_policy_is_named_and_nowhere_else(project: Project, pair: dict[str, str], strangers: dict[str, str]) -> None:
    put(project, "/v1/policies/moderation", lanes={"remove": 0.9, "look": 0.5}, otherwise="let-go")
    assert project.post("/image/match", **pair, policy="moderation").json["lane"] == "remove"
    assert project.post("/image/match", **strangers, policy="moderation").json["lane"] == "let-go"
    assert set(project.post("/image/match", **pair).json) == {
        *("match", "confidence", "similarity_score", "processing_time_ms", "media_type", "matched_segments")
    }


def test_searches_take_profiles_and_policies(project: Project, pair: dict[str, str]) -> None:
    asset = project.index(pair["source_url"], collection="thresholds")
    put(project, "/v1/profiles/perfect", cutoffs={"image": 1.0})
    put(project, "/v1/policies/moderation", lanes={"remove": 0.9, "look": 0.5}, otherwise="let-go")
    found = project.search(pair["target_url"], collections=["thresholds"], policy="moderation", profile="adversarial")
    assert [(hit["asset_id"], hit["lane"]) for hit in found] == [(asset, "remove")]
    assert project.search(pair["target_url"], collections=["thresholds"], profile="perfect") == []
    assert "lane" not in project.search(pair["target_url"], collections=["thresholds"], profile="perfect", threshold=0.5)[0]


def test_every_answer_is_in_the_log_before_it_is_sent(logged: Project, pair: dict[str, str], strangers: dict[str, str]) -> None:
    put(logged, "/v1/profiles/strict", cutoffs={"image": 0.7})
    put(logged, "/v1/policies/moderation", lanes={"remove": 0.9})
    one = logged.post("/image/match", **pair, profile="strict", policy="moderation")
    (row,) = lines(logged, f"&request_id={one.headers['x-request-id']}")
    assert row["time"].endswith("Z")
    assert len(row["source_sha256"]) == len(row["target_sha256"]) == len(row["source_pdq"]) == 64
    assert (row["score"], row["confidence"], row["match"]) == (one.json["similarity_score"], one.json["confidence"], True)
    assert (row["endpoint"], row["media_type"], row["threshold"], row["profile"]) == ("match_image", "image", 0.7, "strict")
    assert (row["policy"], row["lane"], row["hits"]) == ("moderation", "remove", None)
    assert row["algorithm"]
    assert row["version"] >= 1
    two = logged.post("/image/match/batch", source_url=pair["source_url"], target_urls=[pair["target_url"], strangers["target_url"], "x"])
    rows = lines(logged, f"&request_id={two.headers['x-request-id']}")
    assert [(row["endpoint"], row["match"], row["threshold"]) for row in rows] == [
        ("match_image_batch", True, 0.6),
        ("match_image_batch", False, 0.6),
    ]
    form = logged.send_form("/image/match", ("source", encoded(photo(1), "JPEG")), ("target", encoded(photo(1), "WEBP")))
    (row,) = lines(logged, f"&request_id={form.headers['x-request-id']}")
    assert row["source_sha256"] == rows[0]["source_sha256"]


def test_search_is_logged_with_its_hits(logged: Project, pair: dict[str, str], strangers: dict[str, str]) -> None:
    asset = logged.index(pair["source_url"])
    found = logged.post("/v1/search/image/url", url=pair["target_url"])
    (row,) = lines(logged, f"&request_id={found.headers['x-request-id']}")
    similarity = found.json["results"][0]["similarity"]
    assert row["hits"] == [{"asset_id": asset, "similarity": similarity}]
    assert (row["endpoint"], row["score"], row["match"], row["target_sha256"]) == ("search_image_by_url", similarity, True, None)
    nothing = logged.post("/v1/search/image/url", url=strangers["target_url"])
    (row,) = lines(logged, f"&request_id={nothing.headers['x-request-id']}")
    assert (row["hits"], row["score"], row["match"], row["confidence"]) == ([], None, False, "none")


def test_log_has_no_addresses_and_failures_are_no_decisions(logged: Project, pair: dict[str, str]) -> None:
    before = len(lines(logged))
    logged.post("/image/match", **{**pair, "source_url": pair["source_url"] + "?token=secret"})
    assert logged.post("/image/match", **{**pair, "target_url": "http://10.0.0.1/a.jpg"}).code == "invalid_url"
    assert len(lines(logged)) == before + 1
    assert b"token" not in logged.request("GET", "/v1/decisions").body
    assert b"http" not in logged.request("GET", "/v1/decisions").body


def test_log_is_given_out_as_csv_and_read_on_from_a_number(logged: Project, pair: dict[str, str]) -> None:
    logged.post("/image/match", **pair)
    logged.post("/image/match", **pair)
    answer = logged.request("GET", "/v1/decisions")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [int(row["number"]) for row in rows] == [row["number"] for row in lines(logged)]
    rest = lines(logged, f"&after={rows[-2]['number']}")
    assert [str(row["number"]) for row in rest] == [rows[-1]["number"]]
    assert len(lines(logged, "&limit=1")) == 1
    assert lines(logged, "&since=2999-01-01T00:00:00Z") == []
    assert logged.request("GET", "/v1/decisions?since=yesterday").json["error"]["details"]["field"] == "since"


def test_policy_is_tried_on_the_log_and_on_posted_scores(logged: Project, pair: dict[str, str], strangers: dict[str, str]) -> None:
    logged.post("/image/match", **pair)
    logged.post("/image/match", **strangers)
    scores = [row["score"] for row in lines(logged) if row["media_type"] == "image"]
    tried = logged.post("/v1/lanes", lanes={"remove": 0.9, "look": 0.5}, otherwise="let-go", type="image")
    block = sum(score is not None and score >= 0.9 for score in scores)
    assert tried.status == 200, tried.body
    assert (tried.json["total"], tried.json["lanes"]["remove"]) == (len(scores), block)
    assert sum(tried.json["lanes"].values()) == len(scores)
    put(logged, "/v1/policies/tried", lanes={"remove": 0.9, "look": 0.5}, otherwise="let-go")
    posted = post_csv(logged, "/v1/lanes?policy=tried", SCORES)
    assert posted.json == {
        "total": 8,
        "lanes": {"remove": 2, "look": 2, "let-go": 4},
        "refused": 1,
        "errors": [{"line": 10, "message": "high is no score"}],
    }
    # What the log gives out can be posted back.
    again = post_csv(logged, "/v1/lanes?policy=tried", logged.request("GET", "/v1/decisions?type=image&match=true").body)
    assert again.json["lanes"]["remove"] == again.json["total"]
    assert logged.post("/v1/lanes").code == "invalid_request"


def test_nothing_is_logged_where_nobody_asked_for_it(project: Project, pair: dict[str, str]) -> None:
    project.post("/image/match", **pair)
    project.post("/v1/search/image/url", url=pair["source_url"])
    assert lines(project) == []


def test_log_begins_and_ends_within_five_seconds_of_its_switch(mesh: RunningMesh, pair: dict[str, str]) -> None:
    switched = new_project(mesh)
    switched.post("/image/match", **pair)
    for state in ("on", "off"):
        admin(mesh, "settings", switched.id, "--decision-log", state)
        started = time.monotonic()
        while True:
            before = len(lines(switched))
            switched.post("/image/match", **pair)
            if (len(lines(switched)) > before) == (state == "on"):
                break
            assert time.monotonic() - started < 5
    assert "decision-log off" in admin(mesh, "settings", switched.id)


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("thresholds:read", {"profiles", "csv"}), ("thresholds:write", {"put"}), ("decisions:read", {"decisions"}), ("usage:read", set())],
)
def test_scope_grants_exactly_its_routes(mesh: RunningMesh, scope: str, allowed: set[str]) -> None:
    limited = new_project(mesh, scope)
    lanes = "?lanes=%7B%22review%22%3A0.5%7D"
    answers = {
        "profiles": limited.request("GET", "/v1/profiles"),
        "csv": post_csv(limited, f"/v1/lanes{lanes}", b"0.5\n"),
        "log": limited.post("/v1/lanes", lanes={"review": 0.5}),
        "put": put(limited, "/v1/profiles/a", cutoffs={"image": 0.5}),
        "decisions": limited.request("GET", "/v1/decisions"),
    }
    assert {name for name, answer in answers.items() if answer.status == 200} == allowed
    assert {answer.code for answer in answers.values() if answer.status != 200} == {"insufficient_scope"}


def studio(mesh: RunningMesh, content: str, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    """The command, with a file on its standard input."""
    command = [sys.executable, "-m", "gateway.studio", "-", "--url", f"http://127.0.0.1:{mesh.port}", *arguments]
    environment = {**os.environ, "MEDIAMESH_API_KEY": key}
    return subprocess.run(command, cwd=ROOT, env=environment, input=content, capture_output=True, text=True, check=False, timeout=60)


def test_command_says_what_the_endpoint_says(mesh: RunningMesh) -> None:
    answer = mesh.request("POST", "/thresholds/analyse?cost=10", SCORES, {"Content-Type": "text/csv"})
    assert json.loads(studio(mesh, SCORES.decode(), "--cost", "10", "--json").stdout) == answer.json
    said = studio(mesh, SCORES.decode(), "--cost", "10", "--lane", "look=0.5").stdout
    assert "cutoff 0.6801 (95 %, bootstrap:" in said
    assert "line 10: high is no score" in said
    assert "look: 4" in said


def test_command_compares_pairs_draws_and_saves(mesh: RunningMesh, pair: dict[str, str], strangers: dict[str, str], tmp_path: Path) -> None:
    project = new_project(mesh)
    source, copy, other = pair["source_url"], pair["target_url"], strangers["target_url"]
    rows = ["target,label,source", f"{copy},copy,{source}", f"{other},other,{source}", f"http://10.0.0.1/a.jpg,copy,{source}"]
    wanted = [
        "--scores",
        str(tmp_path / "scores.csv"),
        "--picture",
        str(tmp_path / "studio.svg"),
        "--save",
        "by-command",
        "--type",
        "image",
    ]
    done = studio(mesh, "\n".join(rows), *wanted, key=project.key)
    assert done.returncode == 0, done.stderr
    assert "compared 3 of 3" in done.stderr
    assert "line 4: invalid_url: target_url points at an address or port that is not public" in done.stderr
    kept = list(csv.DictReader(io.StringIO((tmp_path / "scores.csv").read_text())))
    assert [(row["label"], row["target"]) for row in kept] == [("copy", copy), ("other", other)]
    assert ElementTree.parse(tmp_path / "studio.svg").getroot().tag.endswith("svg")
    assert list(project.request("GET", "/v1/profiles/by-command").json["cutoffs"]) == ["image"]


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("a,b\n", (), "no column score"),
        ("0.5\n", ("--save", "x"), "there is no cutoff to be saved"),
        ("0.9,1\n0.1,0\n", ("--save", "x"), "this needs an API key"),
    ],
)
def test_command_that_cannot_do_what_it_is_told_says_why(mesh: RunningMesh, content: str, arguments: tuple[str, ...], said: str) -> None:
    done = studio(mesh, content, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
