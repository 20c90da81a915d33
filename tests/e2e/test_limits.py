"""Rates, quotas and usage on a whole running mesh, as clients and operators meet them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import grpc
import jsonschema
import pytest

from mesh.settings import MeshSettings
from protos import index_pb2, index_pb2_grpc, usage_pb2, usage_pb2_grpc
from tests.e2e.test_api import ERROR
from tests.index_client import ALL_SCOPES, Project, admin
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import Answer, RunningMesh

FEATURES = [scope for scope in ALL_SCOPES if scope.endswith((":index", ":search"))]
MONTHLY = ("searches", "search_bytes", "calls")
POLICIES = (*MONTHLY, "ready_images", "ready_videos", "ready_audio")
QUOTA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["used", "limit", "remaining", "reset"],
    "properties": {
        "used": {"type": "integer", "minimum": 0},
        "limit": {"type": ["integer", "null"]},
        "remaining": {"type": ["integer", "null"]},
        "reset": {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-01T00:00:00\.000Z$"},
        "soft_limit": {"type": "integer"},
    },
}
USAGE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["project_id", "plan", "period", "quotas", "indexed", "features", "rate"],
    "properties": {
        "project_id": {"type": "string"},
        "plan": {"type": "string"},
        "period": {"type": "object", "required": ["start", "end"], "additionalProperties": QUOTA["properties"]["reset"]},  # type: ignore[index]
        "quotas": {"type": "object", "required": list(POLICIES), "additionalProperties": QUOTA},
        "indexed": {"type": "object", "required": ["image", "video", "audio"], "additionalProperties": {"type": "integer"}},
        "features": {"type": "array", "items": {"enum": FEATURES}},
        "rate": {"type": ["object", "null"], "required": ["requests", "seconds"]},
    },
}
RATE_FIELDS = ("ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@dataclass
class Operator:
    """What `python -m index_svc.admin` does, without starting a process each time."""

    mesh: RunningMesh

    def __post_init__(self) -> None:
        channel = grpc.insecure_channel(f"unix:{_socket(self.mesh)}")
        self.index, self.usage = index_pb2_grpc.IndexServiceStub(channel), usage_pb2_grpc.UsageServiceStub(channel)

    def project(self, **limits: Any) -> Project:
        """A project on a plan of its own, with a key that carries every scope."""
        plan = self.plan(f"plan {uuid4()}", **limits)
        self.usage.CreatePlan(usage_pb2.CreatePlanRequest(plan=plan))
        made = self.index.CreateProject(index_pb2.CreateProjectRequest(name="limited", plan=plan.name)).project
        return Project(self.mesh, made.id, self.key(made.id).secret)

    def plan(self, name: str, **limits: Any) -> usage_pb2.Plan:
        return usage_pb2.Plan(**{"name": name, "features": FEATURES, **limits})

    def change(self, project: Project, **limits: Any) -> None:
        """Everything else without a limit."""
        plan = self.plan(self.of(project).plan.name, **limits)
        self.usage.ReplacePlan(usage_pb2.ReplacePlanRequest(plan=plan))

    def key(self, project: str, scopes: Any = ALL_SCOPES) -> index_pb2.CreateKeyResponse:
        made: index_pb2.CreateKeyResponse = self.index.CreateKey(index_pb2.CreateKeyRequest(project_id=project, name="key", scopes=scopes))
        return made

    def of(self, project: Project) -> usage_pb2.GetUsageResponse:
        usage: usage_pb2.GetUsageResponse = self.usage.GetUsage(usage_pb2.GetUsageRequest(project_id=project.id))
        return usage


def _socket(mesh: RunningMesh) -> str:
    return str(MeshSettings(data_dir=str(mesh.data_dir)).runtime_dir / "index.sock")


@pytest.fixture(scope="module")
def operator(mesh: RunningMesh) -> Operator:
    return Operator(mesh)


@pytest.fixture(scope="module")
def picture_bytes() -> bytes:
    return encoded(photo(301), "JPEG")


@pytest.fixture(scope="module")
def picture(origin: Origin, picture_bytes: bytes) -> str:
    return origin.serve("limited.jpg", picture_bytes)


def used(project: Project) -> dict[str, int]:
    body = project.request("GET", "/v1/usage").json
    return {policy: quota["used"] for policy, quota in body["quotas"].items() if quota["used"]}


def refused(answer: Answer, code: str, policy: str) -> None:
    jsonschema.validate(answer.json, ERROR)
    assert (answer.status, answer.code) == (429, code), answer.body
    assert answer.json["error"]["details"]["policy"] == policy
    assert f'"{policy}";r=' in answer.headers["ratelimit"]
    assert f'"{policy}";q=' in answer.headers["ratelimit-policy"]


def test_request_after_the_last_of_the_rate_is_refused(operator: Operator) -> None:
    project = operator.project(requests_per_second=1, burst_seconds=30)
    answers = [project.request("GET", "/v1/assets") for _ in range(31)]
    assert [answer.status for answer in answers] == [200] * 30 + [429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == [*(str(left) for left in range(29, -1, -1)), "0"]
    for answer in answers:
        assert all(field in answer.headers for field in RATE_FIELDS)
        assert answer.headers["ratelimit-policy"] == '"key";q=30;w=30'
        assert answer.headers["x-ratelimit-limit"] == "30"
    refused(answers[-1], "rate_limited", "key")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 30
    assert answers[-1].headers["retry-after"] == answers[-1].headers["x-ratelimit-reset"]


def test_every_answer_of_v1_says_how_far_the_rate_is(operator: Operator, picture: str) -> None:
    project = operator.project(requests_per_second=50, burst_seconds=60, max_searches=100, max_search_bytes=10**9)
    for answer, status in (
        (project.request("GET", "/v1/usage"), 200),
        (project.request("GET", f"/v1/assets/{uuid4()}"), 404),
        (project.request("DELETE", f"/v1/assets/{uuid4()}"), 404),
        (project.post("/v1/index/image/url", url=1), 400),
        (project.post("/v1/index/image/url", url=picture), 202),
        (project.post("/v1/search/image/url", url=picture), 200),
    ):
        assert answer.status == status
        assert '"key";r=' in answer.headers["ratelimit"]
    month = 24 * 3600 * (datetime.fromisoformat(project.request("GET", "/v1/usage").json["period"]["end"]) - _month_start()).days
    assert answer.headers["ratelimit-policy"] == (
        f'"searches";q=100;w={month}, "search_bytes";q=1000000000;qu="content-bytes";w={month}, "key";q=3000;w=60'
    )
    assert answer.headers["x-ratelimit-limit"] == "3000"
    assert re.match(r'"searches";r=99;t=\d+, "search_bytes";r=\d+;t=\d+, "key";r=\d+;t=\d+$', answer.headers["ratelimit"])


def _month_start() -> datetime:
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def test_rate_is_each_keys_own_and_a_key_may_have_another(operator: Operator) -> None:
    project = operator.project(requests_per_second=1, burst_seconds=30)
    made = operator.key(project.id)
    other = Project(operator.mesh, project.id, made.secret)
    admin(operator.mesh, "set-key-rate", project.id, made.key.prefix, "2", "--burst-seconds", "60")
    assert [project.request("GET", "/v1/jobs").status for _ in range(31)][-1] == 429
    answers = [other.request("GET", "/v1/jobs") for _ in range(40)]
    assert [answer.status for answer in answers] == [200] * 40
    assert answers[0].headers["ratelimit-policy"] == '"key";q=120;w=60'


def test_refused_request_is_not_read_and_fetches_nothing(operator: Operator, origin: Origin, picture: str) -> None:
    project = operator.project(requests_per_second=1, burst_seconds=5)
    for _ in range(5):
        assert project.request("GET", "/v1/jobs").status == 200
    before = len(origin.requests)
    with operator.mesh.connect(10) as connection:
        connection.sendall(
            b"POST /v1/search/image/url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
            b"Authorization: Bearer " + project.key.encode() + b"\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 429 ")
    assert len(origin.requests) == before
    assert used(_patient(operator, project)) == {}


def _patient(operator: Operator, project: Project) -> Project:
    """The same project with a key whose rate nothing has used up yet."""
    return Project(operator.mesh, project.id, operator.key(project.id).secret)


def test_search_counts_the_bytes_on_the_wire_and_nothing_else(
    operator: Operator, origin: Origin, picture: str, picture_bytes: bytes
) -> None:
    project = operator.project(max_searches=100, max_search_bytes=10**8)
    double = origin.serve("double.jpg", picture_bytes + bytes(len(picture_bytes)))
    asset = project.index(picture)
    assert used(project) == {"ready_images": 1}
    project.search(picture)
    assert used(project) == {"ready_images": 1, "searches": 1, "search_bytes": len(picture_bytes)}
    project.search(double)
    assert used(project)["search_bytes"] == 3 * len(picture_bytes)
    assert project.post("/v1/search/image/asset", asset_id=asset).status == 200
    assert project.post("/v1/search/image/url", url=origin.url("not-there.jpg")).code == "fetch_failed"
    assert project.post("/v1/search/image/url", url=1).code == "invalid_request"
    assert used(project) == {"ready_images": 1, "searches": 4, "search_bytes": 3 * len(picture_bytes)}


def test_used_up_searches_stop_searching_alone_and_a_larger_plan_lets_it_go_on(operator: Operator, origin: Origin, picture: str) -> None:
    project = operator.project(max_searches=2)
    asset = project.index(picture)
    project.search(picture)
    project.search(picture)
    fetched = len(origin.requests)
    answer = project.post("/v1/search/image/url", url=picture)
    refused(answer, "quota_exceeded", "searches")
    end = datetime.fromisoformat(project.request("GET", "/v1/usage").json["quotas"]["searches"]["reset"])
    assert abs(int(answer.headers["retry-after"]) - (end - datetime.now(UTC)).total_seconds()) < 60
    assert len(origin.requests) == fetched
    assert project.request("GET", f"/v1/assets/{asset}").status == 200
    project.index(picture)
    admin(operator.mesh, "change-plan", operator.of(project).plan.name, "--searches", "3")
    changed = time.monotonic()
    assert project.post("/v1/search/image/url", url=picture).status == 200
    assert time.monotonic() - changed < 5
    admin(operator.mesh, "set-plan", project.id, "unlimited")
    assert project.post("/v1/search/image/url", url=picture).status == 200


def test_used_up_bytes_stop_what_downloads(operator: Operator, picture: str, picture_bytes: bytes) -> None:
    project = operator.project(max_search_bytes=2 * len(picture_bytes) - 1)
    asset = project.index(picture)
    project.search(picture)
    refused(project.post("/v1/search/image/url", url=picture), "quota_exceeded", "search_bytes")
    assert used(project)["search_bytes"] == len(picture_bytes)
    assert project.post("/v1/search/image/asset", asset_id=asset).status == 200


def test_rate_of_a_changed_plan_holds_within_seconds(operator: Operator) -> None:
    project = operator.project(requests_per_second=1, burst_seconds=60)
    while project.request("GET", "/v1/jobs").status == 200:
        pass
    operator.change(project, requests_per_second=100, burst_seconds=60)
    changed = time.monotonic()
    while project.request("GET", "/v1/jobs").status == 429:
        assert time.monotonic() - changed < 5


def test_full_project_takes_no_more_until_one_is_deleted(operator: Operator, picture: str) -> None:
    project = operator.project(max_ready_images=1)
    asset = project.index(picture)
    answer = project.post("/v1/index/image/url", url=picture)
    refused(answer, "quota_exceeded", "ready_images")
    assert "retry-after" not in answer.headers
    assert project.request("DELETE", f"/v1/assets/{asset}").status == 204
    again = project.index(picture)
    assert project.request("GET", f"/v1/assets/{again}").json["status"] == "ready"


def test_asset_over_the_cap_fails_and_can_be_tried_again(operator: Operator, origin: Origin) -> None:
    project = operator.project(max_ready_images=2)
    urls = [origin.serve(f"cap-{at}.jpg", encoded(photo(310 + at), "JPEG")) for at in range(6)]
    accepted = [project.post("/v1/index/image/url", url=url) for url in urls]
    done = [project.until_done(answer.json["asset_id"]) for answer in accepted if answer.status == 202]
    ready = [asset["id"] for asset in done if asset["status"] == "ready"]
    failed = [asset for asset in done if asset["status"] == "failed"]
    assert len(ready) == 2
    assert {asset["error"]["code"] for asset in failed} <= {"quota_exceeded"}
    assert all(answer.code == "quota_exceeded" for answer in accepted if answer.status != 202)
    assert project.request("GET", "/v1/usage").json["indexed"] == {"image": 2, "video": 0, "audio": 0}
    if failed:
        assert project.post(f"/v1/assets/{failed[0]['id']}/retry").code == "quota_exceeded"
        operator.change(project, max_ready_images=3)
        assert project.post(f"/v1/assets/{failed[0]['id']}/retry").status == 202
        assert project.until_done(failed[0]["id"])["status"] == "ready"


@pytest.mark.parametrize("feature", FEATURES)
def test_what_the_plan_does_not_have_is_refused_whatever_is_left(operator: Operator, feature: str) -> None:
    project = operator.project(features=[feature], max_searches=0, max_ready_images=0, max_ready_videos=0, max_ready_audio=0)
    for medium in ("image", "audio", "video"):
        for path, needed, body in (
            (f"/v1/index/{medium}/url", f"{medium}:index", {"url": "http://198.51.100.1/x"}),
            (f"/v1/search/{medium}/url", f"{medium}:search", {"url": "http://198.51.100.1/x"}),
            (f"/v1/search/{medium}/asset", f"{medium}:search", {"asset_id": str(uuid4())}),
        ):
            answer = project.post(path, **body)
            if needed == feature:
                assert (answer.status, answer.code) == (429, "quota_exceeded"), (path, answer.body)
            else:
                assert (answer.status, answer.code) == (403, "feature_disabled"), (path, answer.body)
                assert answer.json["error"]["details"]["feature"] == needed
    assert project.request("GET", "/v1/assets").status == 200
    assert project.request("GET", "/v1/usage").json["features"] == [feature]


def test_feature_that_is_switched_off_stops_a_retry_and_direct_callers(operator: Operator, origin: Origin) -> None:
    project = operator.project()
    asset = project.index(origin.url("nothing-here.jpg"))
    operator.change(project, features=["audio:index"])
    calls: list[tuple[Any, Any]] = [
        (operator.index.RetryAsset, index_pb2.RetryAssetRequest(project_id=project.id, asset_id=asset)),
        (operator.index.Search, index_pb2.SearchRequest(project_id=project.id, media_type=1, url="http://x/")),  # type: ignore[arg-type]
    ]
    for method, request in calls:
        with pytest.raises(grpc.RpcError) as refusal:
            method(request)
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    switched = time.monotonic()
    while (answer := project.post(f"/v1/assets/{asset}/retry")).status != 403:
        assert time.monotonic() - switched < 5
    assert answer.code == "feature_disabled"


def test_usage_is_described_as_documented_and_agrees_with_the_contract(operator: Operator, picture: str) -> None:
    project = operator.project(
        max_searches=10, search_soft_factor=1.5, max_calls=7, max_ready_images=3, requests_per_second=10, burst_seconds=10
    )
    project.index(picture)
    project.search(picture)
    body = project.request("GET", "/v1/usage").json
    jsonschema.validate(body, USAGE)
    direct = operator.of(project)
    assert {quota.policy: quota.used for quota in direct.quotas} == {policy: quota["used"] for policy, quota in body["quotas"].items()}
    assert body["plan"] == direct.plan.name
    assert body["quotas"]["searches"] == {
        "used": 1, "limit": 15, "remaining": 14, "soft_limit": 10, "reset": body["period"]["end"]
    }  # fmt: skip
    assert body["quotas"]["ready_images"] == {"used": 1, "limit": 3, "remaining": 2, "reset": None}
    assert body["quotas"]["search_bytes"]["limit"] is None
    assert datetime.fromisoformat(body["period"]["start"]) == _month_start()
    assert (body["rate"], body["indexed"]) == ({"requests": 100, "seconds": 10}, {"image": 1, "video": 0, "audio": 0})
    printed = admin(operator.mesh, "usage", project.id)
    assert re.search(r"searches +1 of 15", printed)


def test_usage_of_one_project_moves_no_others(operator: Operator, picture: str) -> None:
    one, other = operator.project(max_searches=1), operator.project(max_searches=1)
    one.search(picture)
    refused(one.post("/v1/search/image/url", url=picture), "quota_exceeded", "searches")
    assert used(other) == {}
    assert other.post("/v1/search/image/url", url=picture).status == 200


def test_plans_are_listed_made_and_changed_from_the_command_line(operator: Operator) -> None:
    name = f"gold-{uuid4().hex[:8]}"
    admin(operator.mesh, "create-plan", name, "--features", "image:search", "--searches", "5", "--requests-per-second", "2")
    admin(operator.mesh, "change-plan", name, "--searches", "none", "--calls", "9", "--burst-seconds", "4")
    plans = {plan.name: plan for plan in operator.usage.ListPlans(usage_pb2.ListPlansRequest()).plans}
    assert {"free", "unlimited", name} <= set(plans)
    assert plans[name] == usage_pb2.Plan(
        name=name, features=["image:search"], max_calls=9, search_soft_factor=1.0, requests_per_second=2, burst_seconds=4
    )
    printed = admin(operator.mesh, "plans")
    assert re.search(rf"{name}\n +features +image:search\n", printed)
    project = admin(operator.mesh, "create-project", "golden", "--plan", name)
    assert f"{project}  {name}" in admin(operator.mesh, "projects")


# Pairs: a mesh that asks for keys, behind a proxy that it trusts.

ADDRESS_REQUESTS = 40


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    settings = {
        "AUTH": "on",
        "VIDEO_ADDRESS": "",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8",
        "RATE_LIMIT_ADDRESS_PER_SECOND": "1",
        "RATE_LIMIT_ADDRESS_BURST_SECONDS": str(ADDRESS_REQUESTS),
    }
    with RunningMesh(tmp_path_factory.mktemp("guarded"), **settings) as mesh:
        yield Operator(mesh)


_addresses = iter(f"198.51.100.{number}" for number in range(1, 255))

Ask = Callable[..., Answer]


def asker(project: Project, *, address: str | None = None) -> Ask:
    """Asks from an address of its own."""
    address = address or next(_addresses)

    def ask(path: str = "/image/match", **body: object) -> Answer:
        headers = {"X-API-Key": project.key, "X-Forwarded-For": f"203.0.113.{uuid4().bytes[0]}, {address}"}
        return project.mesh.post(path, body, **headers) if body else project.mesh.request("GET", path, headers=headers)

    return ask


def test_calls_that_are_counted_are_those_of_the_access_log(guarded: Operator, origin: Origin, picture: str) -> None:
    project = guarded.project(max_calls=4)
    ask = asker(project)
    before = _counted_in_log(guarded.mesh)
    answers = [
        ask(source_url=picture, target_url=picture),
        ask(source_url=picture, target_url=origin.url("not-there-for-limits.jpg")),
        ask(path="/video/match", source_url=picture, target_url=picture),
        ask(source_url="not a url", target_url=picture),
        ask(source_url=1),
    ]
    assert [answer.status for answer in answers] == [200, 422, 503, 400, 400]
    assert re.search(r'"calls";r=3;t=\d+', answers[0].headers["ratelimit"])
    assert _usage(ask) == 4
    refusal = ask(source_url=picture, target_url=picture)
    refused(refusal, "rate_limited", "calls")
    assert int(refusal.headers["retry-after"]) >= 1
    assert _usage(ask) == 4 == _counted_in_log(guarded.mesh) - before
    assert ask(path="/v1/assets").status == 200
    admin(guarded.mesh, "set-plan", project.id, "unlimited")
    assert ask(source_url=picture, target_url=picture).status == 200
    assert _usage(ask) == 5


def _usage(ask: Ask) -> int:
    return int(ask(path="/v1/usage").json["quotas"]["calls"]["used"])


def _counted_in_log(mesh: RunningMesh) -> int:
    lines = [json.loads(line) for line in mesh.log.splitlines() if line.startswith("{") and "/match" in line]
    return sum(line.get("route", "").endswith("/match") and line["status"] < 500 and line["status"] not in (401, 429) for line in lines)


def test_pair_beyond_the_rate_of_its_key_is_rate_limited(guarded: Operator, origin: Origin, picture: str) -> None:
    project = guarded.project(requests_per_second=1, burst_seconds=20)
    ask = asker(project)
    answers = [ask(source_url="nonsense", target_url="nonsense") for _ in range(21)]
    assert [answer.status for answer in answers] == [400] * 20 + [429]
    assert '"key";r=19' in answers[0].headers["ratelimit"]
    refused(answers[-1], "rate_limited", "key")


def test_address_beyond_its_rate_is_refused_with_any_key_or_none(guarded: Operator, origin: Origin, picture: str) -> None:
    project, other = guarded.project(), guarded.project()
    address = next(_addresses)
    for _ in range(ADDRESS_REQUESTS):
        answer = guarded.mesh.request("GET", "/v1/assets", headers={"X-Forwarded-For": f"1.2.3.4, {address}"})
        assert answer.status == 401
    assert answer.headers["ratelimit-policy"] == f'"address";q={ADDRESS_REQUESTS};w={ADDRESS_REQUESTS}'
    before = len(origin.requests)
    for ask in (asker(project, address=address), asker(other, address=address)):
        refused(ask(path="/v1/assets"), "rate_limited", "address")
        refused(ask(source_url=picture, target_url=picture), "rate_limited", "address")
    assert len(origin.requests) == before
    assert asker(project)(path="/v1/assets").status == 200
    for path in ("/healthz", "/readyz", "/config"):
        assert guarded.mesh.request("GET", path, headers={"X-Forwarded-For": address}).status == 200


def test_without_the_setting_nobody_is_limited_by_address(mesh: RunningMesh) -> None:
    answers = [mesh.match("nonsense", "nonsense") for _ in range(60)]
    assert {answer.status for answer in answers} == {400}
    assert not any(name.startswith(("ratelimit", "x-ratelimit")) for answer in answers for name in answer.headers)
