"""Every sample of docs/samples runs as it stands, with a key of the mesh's own and through a marketplace's proxy."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from gateway.code_samples import DEFAULT_BASE
from tests import films
from tests.e2e.test_api import ENVELOPE
from tests.e2e.test_audio import SOUND_ENVELOPE
from tests.e2e.test_video import FILM_ENVELOPE
from tests.edits import as_file, covered
from tests.front import Front, Marketplace
from tests.index_client import admin, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import RunningMesh
from tests.samples import FOLDER, node_folder, printed, run
from tests.sounds import RATE, music

SECRET = "a-secret-of-the-proxy-and-us"
ENVELOPES = {"image": ENVELOPE, "video": FILM_ENVELOPE, "audio": SOUND_ENVELOPE}
CONCURRENCY = 4


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    market = {"RAPIDAPI_PROXY_SECRETS": SECRET, "RAPIDAPI_PLANS": "SMALL=small"}
    with RunningMesh(tmp_path_factory.mktemp("keyed"), AUTH="on", **market) as mesh:
        admin(mesh, "create-plan", "small", "--requests-per-second", "1", "--burst-seconds", "2")
        yield mesh


@pytest.fixture(scope="module")
def marketplace(keyed: RunningMesh) -> Iterator[Front]:
    with Front(keyed, Marketplace(SECRET, {"ann's": ("ann", "BASIC"), "bob's": ("bob", "SMALL")})) as front:
        yield front


@pytest.fixture(scope="module")
def native(keyed: RunningMesh) -> dict[str, str]:
    return {"MEDIAMESH_URL": f"http://127.0.0.1:{keyed.port}", "MEDIAMESH_API_KEY": new_project(keyed).key}


WAYS = [("native key", medium) for medium in ENVELOPES] + [("marketplace", "image")]


@pytest.fixture(params=["native key", "marketplace"])
def environment(request: pytest.FixtureRequest, native: dict[str, str], marketplace: Front) -> dict[str, str]:
    """Where a sample finds the mesh, and its key."""
    return native if request.param == "native key" else {"MEDIAMESH_URL": marketplace.url, "MEDIAMESH_API_KEY": "ann's"}


@pytest.fixture(scope="module")
def pairs(origin: Origin) -> dict[str, tuple[str, str]]:
    """Of each medium two files that are copies."""
    film, song = films.Film(901, 3.0, 160, 120), music(901, 8.0)
    return {
        "image": (
            origin.serve("sample-a.jpg", encoded(photo(901), "JPEG")),
            origin.serve("sample-b.webp", encoded(photo(901, 320, 240), "WEBP")),
        ),
        "video": (
            origin.serve("sample-a.mp4", films.encoded(film)),
            origin.serve("sample-b.mp4", films.encoded(replace(film, width=128, height=96))),
        ),
        "audio": (
            origin.serve("sample-a.mp3", recorded(song, "mp3", rate=RATE)),
            origin.serve("sample-b.flac", recorded(song[RATE:], "flac", rate=RATE)),
        ),
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_folder(tmp_path_factory.mktemp("node"))


def checked(text: str, medium: str) -> dict[str, Any]:
    """One answer that a sample printed, as JSON or as Python shows it."""
    answer: dict[str, Any] = json.loads(text) if '"match"' in text else ast.literal_eval(text)
    jsonschema.validate(answer, ENVELOPES[medium])
    assert answer["match"] is True, answer
    return answer


@pytest.mark.parametrize(("environment", "medium"), WAYS, indirect=["environment"])
def test_curl_sample_of_each_endpoint_runs(environment: dict[str, str], pairs: dict[str, tuple[str, str]], medium: str) -> None:
    checked(printed(FOLDER / f"{medium}_match.sh", *pairs[medium], **environment), medium)


@pytest.mark.parametrize(("environment", "medium"), WAYS, indirect=["environment"])
@pytest.mark.parametrize("name", ["match_requests.py", "match_httpx.py"])
def test_python_sample_runs(environment: dict[str, str], pairs: dict[str, tuple[str, str]], name: str, medium: str) -> None:
    checked(printed(FOLDER / name, medium, *pairs[medium], **environment), medium)


def test_httpx_sample_asks_about_several_at_once(native: dict[str, str], keyed: RunningMesh, pairs: dict[str, tuple[str, str]]) -> None:
    source, target = pairs["image"]
    with Front(keyed, together=3) as front:
        at_front = {**native, "MEDIAMESH_URL": front.url}
        lines = printed(FOLDER / "match_httpx.py", "image", source, target, source, target, **at_front).splitlines()
    assert [checked(line, "image")["similarity_score"] == 1.0 for line in lines] == [False, True, False]
    assert front.max_under_way == 3


@pytest.mark.parametrize(("environment", "medium"), WAYS, indirect=["environment"])
@pytest.mark.parametrize("name", ["match_fetch.mjs", "match_axios.mjs"])
def test_node_sample_runs(environment: dict[str, str], pairs: dict[str, tuple[str, str]], node: Path, name: str, medium: str) -> None:
    checked(printed(node / name, medium, *pairs[medium], **environment), medium)


@pytest.mark.parametrize("name", ["image_match.sh", "match_requests.py", "match_httpx.py", "match_fetch.mjs", "match_axios.mjs"])
def test_sample_fails_with_a_key_that_is_not_known(
    native: dict[str, str], pairs: dict[str, tuple[str, str]], request: pytest.FixtureRequest, name: str
) -> None:
    folder = request.getfixturevalue("node") if name.endswith(".mjs") else FOLDER
    arguments = pairs["image"] if name.endswith(".sh") else ("image", *pairs["image"])
    done = run(folder / name, *arguments, **{**native, "MEDIAMESH_API_KEY": "mm_live_not_a_key"})
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr


@pytest.mark.parametrize(("language", "suffix"), [("curl", ".sh"), ("python", ".py"), ("javascript", ".mjs")])
def test_sample_of_the_reference_runs(
    native: dict[str, str], keyed: RunningMesh, pairs: dict[str, tuple[str, str]], tmp_path: Path, language: str, suffix: str
) -> None:
    if language == "javascript" and not shutil.which("node"):
        pytest.skip("there is no Node here")
    operation = keyed.get("/openapi.json").json["paths"]["/image/match"]["post"]
    (text,) = (sample["source"] for sample in operation["x-codeSamples"] if sample["lang"] == language)
    example = operation["requestBody"]["content"]["application/json"]["example"]
    for field, url in zip(("source_url", "target_url"), pairs["image"], strict=True):
        text = text.replace(example[field], url)
    sample = tmp_path / f"sample{suffix}"
    sample.write_text(text.replace(DEFAULT_BASE, native["MEDIAMESH_URL"]))
    shown = printed(sample, MEDIAMESH_API_KEY=native["MEDIAMESH_API_KEY"])
    assert re.search(r"\bmatch['\"]?: ?(true|True)", shown), shown


def test_fan_out_never_has_more_than_four_calls_in_flight(
    native: dict[str, str], keyed: RunningMesh, origin: Origin, pairs: dict[str, tuple[str, str]], node: Path
) -> None:
    listing, copy = pairs["image"]
    others = [origin.serve(f"sample-other-{seed}.jpg", encoded(photo(seed, 160, 120), "JPEG")) for seed in range(910, 920)]
    with Front(keyed, together=CONCURRENCY) as front:
        at_front = {**native, "MEDIAMESH_URL": front.url}
        best = json.loads(printed(node / "build" / "fan_out.js", listing, *others[:6], copy, *others[6:], **at_front))
    assert best["reference"] == copy
    assert best["score"] >= 0.97
    assert front.statuses == [200] * 11
    assert front.max_under_way == CONCURRENCY


def test_fan_out_waits_where_the_rate_of_its_plan_is_used_up(marketplace: Front, pairs: dict[str, tuple[str, str]], node: Path) -> None:
    listing, copy = pairs["image"]
    through = {"MEDIAMESH_URL": marketplace.url, "MEDIAMESH_API_KEY": "bob's"}
    before = len(marketplace.statuses)
    best = json.loads(printed(node / "build" / "fan_out.js", listing, *[copy] * CONCURRENCY, **through))
    assert best["score"] >= 0.97
    answered = marketplace.statuses[before:]
    assert answered.count(200) == CONCURRENCY
    assert answered.count(429) >= 2
    assert set(answered) == {200, 429}


@pytest.fixture(scope="module")
def references(origin: Origin) -> list[str]:
    return [origin.serve(f"sample-known-{seed}.jpg", encoded(photo(seed), "JPEG", quality=90)) for seed in (881, 882)]


def test_listing_gate_has_three_lanes(environment: dict[str, str], origin: Origin, references: list[str]) -> None:
    known = Image.fromarray(photo(882))
    listings = {
        "auto-block": origin.serve("sample-again.webp", as_file(known.resize((320, 240)))),
        "review": origin.serve("sample-covered.jpg", as_file(covered(0.2, (1, 1))(known, Random(1)))),
        "pass": origin.serve("sample-own.jpg", encoded(photo(883), "JPEG")),
    }
    lanes = {lane: printed(FOLDER / "listing_gate.py", url, *references, **environment) for lane, url in listings.items()}
    assert lanes == {lane: lane for lane in listings}


def test_upload_with_a_part_that_was_removed_is_told_with_its_seconds(native: dict[str, str], origin: Origin, tmp_path: Path) -> None:
    song, upload = music(902, 8.0), tmp_path / "upload.flac"
    upload.write_bytes(recorded(np.concatenate([music(903, 10.0), song]), "flac", rate=RATE))
    removed = origin.serve("sample-removed.flac", recorded(song, "flac", rate=RATE))
    assert printed(FOLDER / "upload_moderation.py", "--removed", "audio", removed, **native) == "ready"
    action = printed(FOLDER / "upload_moderation.py", "audio", str(upload), **native)
    assert re.fullmatch(r"(remove|review): 0\.\d\d like sample-removed\.flac of removed, at 10-1[78] s", action)


SAMPLES = [path for path in sorted(FOLDER.rglob("*.*")) if not {"node_modules", "build"} & set(path.parts)]


@pytest.mark.parametrize("path", [path for path in SAMPLES if path.suffix in {".sh", ".py", ".mjs", ".ts"}], ids=lambda path: path.name)
def test_sample_is_listed_and_holds_no_key_and_no_other_host(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"mm_live_[0-9A-Za-z]{50}", text)
    assert set(re.findall(r"https?://([^/\s\"'`{}$)]+)", text)) <= {"127.0.0.1:8080"}
    assert f"]({path.relative_to(FOLDER)})" in (FOLDER / "README.md").read_text()


def test_packages_of_node_are_pinned_by_hash_and_name_no_registry() -> None:
    pinned = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    assert all(("integrity" in package) and ("resolved" not in package) for name, package in pinned.items() if name)
