"""The walk through the contracts in README runs as printed, by a client that was not written in Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import ROOT, RunningMesh


def test_walk_works_as_printed(mesh: RunningMesh, origin: Origin, tmp_path: Path) -> None:
    one, two = origin.serve("walk-a.jpg", encoded(photo(1), "JPEG")), origin.serve("walk-b.jpg", encoded(photo(1), "PNG"))
    block = next(b for b in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "buf curl" in b)
    script = block.replace("https://picsum.photos/id/237/800/600.jpg", one).replace("https://picsum.photos/id/237/400/300.webp", two)
    script = script.replace("data/", f"{mesh.data_dir}/").replace(".venv/bin/buf", str(Path(sys.executable).parent / "buf"))
    script = script.replace("--schema .", f"--schema {ROOT}")
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    fingerprint = json.loads((mesh.data_dir / "a.json").read_text())["fingerprint"]
    assert fingerprint["mediaType"] == "MEDIA_TYPE_IMAGE"
    answers = _json_values(done.stdout)
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
