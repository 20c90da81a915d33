"""Rows P09 and P11: what is said to a mesh in confidence, and who may speak to its insides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos import fetcher_pb2, fetcher_pb2_grpc, index_pb2, index_pb2_grpc, matcher_pb2, matcher_pb2_grpc
from tests.bulk import until_over
from tests.certificates import Authority
from tests.hostile.world import METRICS_PORTS, PUBLIC, World
from tests.index_client import form, new_project
from tests.pictures import encoded, photo
from tests.raw_origin import answer, redirect
from tests.running_mesh import Answer, RunningMesh, free_port

CANARY = "canary7f3a"


def test_secrets_of_urls_headers_and_file_names_are_in_no_log_answer_or_metric_p09(world: World) -> None:
    internet = world.internet
    picture = encoded(photo(1), "PNG")
    headers = (f"Content-Disposition: attachment; filename={CANARY}.png", f"Set-Cookie: a={CANARY}", f"X-Powered-By: {CANARY}")
    good = internet.serve(f"/{CANARY}.png?token={CANARY}", picture, *headers)
    urls = [
        good,
        internet.say(f"/missing-{CANARY}?{CANARY}", answer(CANARY.encode(), "404 Not Found", *headers)),
        internet.say(f"/no-picture-{CANARY}", answer(f"<html>{CANARY}</html>".encode(), "200 OK", *headers)),
        internet.say(f"/broken-{CANARY}", f"HTTP/1.1 {CANARY}\r\n\r\n".encode()),
        internet.say(f"/half-{CANARY}", answer(picture[:5000], "200 OK", *headers)),
        internet.say(f"/short-{CANARY}", answer(picture[:5000], "200 OK", "Content-Length: 6000", length=False)),
        internet.say(f"/away-{CANARY}", redirect(f"http://127.0.0.1/{CANARY}?{CANARY}")),
        internet.say(f"/odd-{CANARY}", redirect(f"gopher://{CANARY}/{CANARY}")),
        internet.say(f"/again-{CANARY}", redirect(f"/{CANARY}.png?token={CANARY}")),
        f"https://www.example.com/missing?{CANARY}",
        f"https://expired.example.com/?{CANARY}",
        f"http://user:{CANARY}@www.example.com/",
        f"http://{CANARY}:pass@www.example.com/",
        f"http://www.example.com/#{CANARY}",
        f"http://www.example.com:22/{CANARY}",
        f"http://10.0.0.1/{CANARY}?{CANARY}",
        f"http://nowhere.example.org/{CANARY}",
        f"http://www.example.com/{CANARY}\n{{forged {CANARY}}}",
        f"ftp://www.example.com/{CANARY}",
        CANARY,
        f"http://www.example.com/{'a' * 2048}{CANARY}",
    ]
    answers = [world.mesh.match(url, good) for url in urls] + [world.mesh.match(good, url) for url in urls]
    body = {"source_url": good, "target_url": good}
    secret_headers = {"Authorization": CANARY, "Cookie": CANARY, "X-Api-Key": CANARY, "X-Request-Id": f"no id; {CANARY}", CANARY: "x"}
    answers.append(world.mesh.post(f"/image/match?{CANARY}", body, **secret_headers))
    answers.append(world.mesh.post(f"/{CANARY}/match", body))
    answers.append(world.mesh.post("/image/match", {**body, "threshold": CANARY}))
    answers.append(world.mesh.request(CANARY, "/image/match"))
    statuses = {given.status for given in answers}
    assert {200, 400, 404, 415, 422} <= statuses
    assert not [given for given in answers if CANARY in str(given)]
    assert not [given for given in answers if PUBLIC.encode() in given.body or b"10.0.0.1" in given.body or b"127.0.0.1" in given.body]
    assert CANARY not in world.mesh.log
    assert "forged" not in world.mesh.log
    for name in METRICS_PORTS:
        page = world.metrics(name)
        assert "mediamesh_" in page, name
        assert CANARY not in page


def test_secrets_are_in_no_trace_and_origins_are_told_of_none_p09(world: World) -> None:
    internet, trace_id = world.internet, "4bf92f3577b34da6a3ce929d0e0e4736"
    url = internet.serve(f"/traced-{CANARY}.png?signature={CANARY}", encoded(photo(77), "PNG"), f"Set-Cookie: a={CANARY}")
    missing = internet.say(f"/untraced-{CANARY}?{CANARY}", answer(CANARY.encode(), "404 Not Found"))
    headers = {
        "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
        "tracestate": f"a={CANARY}",
        "X-Api-Key": CANARY,
        "baggage": f"a={CANARY}",
    }
    for target, status in ((url, 200), (missing, 422)):
        given = world.mesh.post("/image/match", {"source_url": url, "target_url": target}, **headers)
        assert given.status == status
    wanted = {"mediamesh-gateway", "mediamesh-image", "mediamesh-fetcher"}
    names = {"POST /image/match", "Match", "Fetch", "worker fingerprint", "worker compare"}
    world.collector.until(lambda: {service for service, _ in world.collector.spans(trace_id)} >= wanted)
    world.collector.until(lambda: {span.name for _, span in world.collector.spans(trace_id)} >= names)
    assert CANARY.encode() not in world.collector.content
    assert PUBLIC.encode() not in world.collector.content
    assert trace_id.encode() not in b"".join(internet.http.requests)
    lines = [json.loads(line) for line in world.mesh.log.splitlines() if trace_id in line]
    assert {line["service"] for line in lines} == {"gateway", "image", "fetcher"}
    assert CANARY not in world.mesh.log


def test_secrets_of_a_library_are_in_no_log_error_metric_or_trace_p09(world: World) -> None:
    internet, canary = world.internet, "canary9b1d"
    project = new_project(world.mesh)
    good = internet.serve(
        f"/{canary}.png?signature={canary}", encoded(photo(91), "PNG"), f"Content-Disposition: attachment; filename={canary}"
    )
    missing = internet.say(f"/gone-{canary}?{canary}", answer(canary.encode(), "404 Not Found"))
    said = {"name": canary, "collection": canary, "owner": canary, "metadata": {canary: canary}}
    trace_id = "5bf92f3577b34da6a3ce929d0e0e4737"
    key = {"Authorization": f"Bearer {project.key}", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}

    def ask(path: str, body: object, **headers: str) -> Answer:
        return world.mesh.post(path, body, **(key | headers))

    accepted = [ask("/v1/index/image/url", {"url": url, **said}) for url in (good, missing)]
    content_type, form_body = form(("file", encoded(photo(92), "PNG")), ("name", canary), ("metadata", {"a": canary}))
    form_body = form_body.replace(b"../../x.jpg", f"../{canary}.jpg".encode())
    accepted.append(world.mesh.request("POST", "/v1/index/image/upload", form_body, {**key, "Content-Type": content_type}))
    rows = f"url,media_type,name\n{missing},image,{canary}\nhttp://10.0.0.1/{canary},image,{canary}\n{canary},{canary},{canary}\n"
    accepted.append(world.mesh.request("POST", "/v1/index/bulk/csv", rows.encode(), {**key, "Content-Type": "text/csv"}))
    assert [given.status for given in accepted] == [202] * 4
    ended = [project.until_done(given.json["asset_id"]) for given in accepted[:3]]
    until_over(project, accepted[3].json["job_id"])
    assert [asset["status"] for asset in ended] == ["ready", "failed", "ready"]
    assert ask("/v1/search/image/url", {"url": good}).status == 200
    refused = [
        ask("/v1/search/image/url", {"url": missing}),
        ask("/v1/search/image/url", {"url": f"http://10.0.0.1/{canary}"}),
        ask("/v1/search/image/hash", {"hash": canary, "kind": canary}),
        ask("/v1/index/image/url", {"url": good, "ttl_seconds": canary}),
        ask(f"/v1/assets/{canary}/retry", {}),
        ask("/v1/search/image/url", {"url": good, "profile": canary}),
        ask("/v1/search/image/url", {"url": good}, Authorization=f"Bearer mm_live_{canary}"),
        ask("/v1/search/image/url", {"url": good}, Authorization=f"Basic {canary}"),
    ]
    assert [given.status for given in refused] == [422, 400, 400, 400, 404, 400, 401, 401]
    assert not [given for given in (*refused, *(str(asset["error"]) for asset in ended)) if canary in str(given)]
    world.collector.until(lambda: any(service == "mediamesh-index" for service, _ in world.collector.spans(trace_id)))
    for secret in (canary, project.key, project.key[-30:]):
        assert secret not in world.mesh.log
        assert secret.encode() not in world.collector.content
        assert not [name for name in METRICS_PORTS if secret in world.metrics(name)]


def test_each_line_of_the_log_is_one_record_p09(world: World) -> None:
    lines = [line for line in world.mesh.log.splitlines() if line.startswith("{")]
    assert len(lines) > 10
    assert all(json.loads(line)["service"] in ("gateway", "image", "video", "audio", "fetcher", "index") for line in lines)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Authority, dict[str, str]]]:
    """A mesh over TCP, as between machines, and where its services listen."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    certificate, key = authority.issue("mesh")
    listening = {f"{name}_ADDRESS": f"127.0.0.1:{free_port()}" for name in ("IMAGE", "AUDIO", "FETCHER", "INDEX")}
    settings = {
        "MESH_TLS_CERT": certificate,
        "MESH_TLS_KEY": key,
        "MESH_TLS_CA": authority.file,
        "IMAGE_WORKERS": "1",
        "AUDIO_WORKERS": "1",
    }
    with RunningMesh(folder, **settings, **listening):
        yield authority, listening


@pytest.mark.parametrize("caller", [pytest.param(name, id=f"P11 {name}") for name in ("plain", "no certificate", "a stranger's")])
@pytest.mark.parametrize("service", ["IMAGE", "AUDIO", "FETCHER", "INDEX"])
async def test_only_the_mesh_may_call_its_services(
    addresses: tuple[Authority, dict[str, str]], tmp_path: Path, caller: str, service: str
) -> None:
    authority, listening = addresses
    roots = Path(authority.file).read_bytes()
    if caller == "plain":
        channel = grpc.aio.insecure_channel(listening[f"{service}_ADDRESS"])
    elif caller == "no certificate":
        channel = grpc.aio.secure_channel(listening[f"{service}_ADDRESS"], grpc.ssl_channel_credentials(roots))
    else:
        certificate, key = (Path(path).read_bytes() for path in Authority(tmp_path, "stranger").issue("mesh"))
        channel = grpc.aio.secure_channel(listening[f"{service}_ADDRESS"], grpc.ssl_channel_credentials(roots, key, certificate))
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            if service in ("IMAGE", "AUDIO"):
                await matcher_pb2_grpc.MatcherServiceStub(channel).Match(matcher_pb2.MatchRequest(), timeout=5)
            elif service == "INDEX":
                await index_pb2_grpc.IndexServiceStub(channel).ListProjects(index_pb2.ListProjectsRequest(), timeout=5)
            else:
                async for _ in fetcher_pb2_grpc.FetcherServiceStub(channel).Fetch(fetcher_pb2.FetchRequest(), timeout=5):
                    pass
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_the_mesh_itself_is_answered_p11(addresses: tuple[Authority, dict[str, str]]) -> None:
    authority, listening = addresses
    certificate, key = (Path(path).read_bytes() for path in authority.issue("caller"))
    credentials = grpc.ssl_channel_credentials(Path(authority.file).read_bytes(), key, certificate)
    async with grpc.aio.secure_channel(listening["IMAGE_ADDRESS"], credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await matcher_pb2_grpc.MatcherServiceStub(channel).Match(matcher_pb2.MatchRequest(), timeout=5)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
