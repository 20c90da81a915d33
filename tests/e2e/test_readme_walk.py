"""What README and the documents print to be typed runs as printed, and prints what they say it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import ROOT, RunningMesh
from tests.walk import DOCUMENTS, Walk, blocks_of, commands_of, without_scores

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """As on the first day: nobody else has projects there."""
    with RunningMesh(tmp_path_factory.mktemp("walk")) as running:
        yield running


@pytest.fixture
def walk(mesh: RunningMesh, origin: Origin, tmp_path: Path) -> Walk:
    (tmp_path / "original.jpg").write_bytes(encoded(photo(70_001), "JPEG"))
    (tmp_path / "copy.webp").write_bytes(encoded(photo(70_001), "WEBP"))
    return Walk(mesh, origin, tmp_path)


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if commands_of(path)], ids=lambda document: str(document.relative_to(ROOT))
)
def test_what_is_printed_to_be_typed_works_as_printed(walk: Walk, document: Path) -> None:
    blocks = blocks_of(document)
    shown = iter(walk.run(commands_of(document)))
    printed = [(block, next(shown) if block.language == "sh" else "") for block in blocks]
    for block, output in printed:
        assert '"error":{' not in output.replace(" ", ""), block.text
        if "/search/" in block.text:
            assert '"name":"the dog"' in output.partition('"results":')[2], output
    for (_, output), (after, _) in pairwise(printed):
        if after.language == "text":
            assert without_scores(output) == without_scores(after.text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_block_is_run_or_read_by_a_test(document: Path) -> None:
    for block in blocks_of(document):
        assert block.language in ("", "sh", "json", "yaml", "text"), block.language
        if block.language == "json":
            json.loads(block.text)
        if block.language == "yaml":
            assert yaml.safe_load(block.text)
        if block.language == "":
            assert any(drawn in block.text for drawn in ("──▶", "protos/ ")), block.text


def test_walk_through_the_contracts_shows_what_they_promise(walk: Walk, mesh: RunningMesh) -> None:
    (commands,) = [command for command in commands_of(README) if "buf curl" in command]
    (shown,) = walk.run([commands])
    fingerprint = json.loads((mesh.data_dir / "a.json").read_text())["fingerprint"]
    assert fingerprint["mediaType"] == "MEDIA_TYPE_IMAGE"
    answers = _json_values(shown)
    match, compare = answers[0]["result"], answers[1]["result"]
    assert match["match"] is True
    assert match["regions"]
    assert compare["similarityScore"] == 1
    head, *chunks, tail = answers[2:]
    assert head["head"]["contentType"] == "image/jpeg"
    assert all("chunk" in chunk for chunk in chunks)
    assert tail["tail"]["sha256"] == fingerprint["hashes"]["sha256"]


def _json_values(text: str) -> list[dict[str, dict[str, object]]]:
    """One JSON value after the other."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        values.append(value)
    return values
