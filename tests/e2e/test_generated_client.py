"""A client that a public generator makes from /openapi.json, and that nobody has touched, asks about each medium."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from tests import films
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.running_mesh import RunningMesh
from tests.sounds import RATE, music

GENERATOR: Final = Path(sys.executable).parent / "openapi-python-client"
NAME: Final = "client_of_the_mesh"
# Files that are not JSON are bytes to it.
CONFIGURATION: Final = f"""\
package_name_override: {NAME}
post_hooks: []
content_type_overrides:
  text/csv: application/octet-stream
  application/x-ndjson: application/octet-stream
  "*/*": application/octet-stream
"""


@pytest.fixture(scope="module")
def client(mesh: RunningMesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    if not GENERATOR.exists():
        pytest.skip("there is no openapi-python-client here")
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(mesh.get("/openapi.json").body)
    (folder / "configuration.yaml").write_text(CONFIGURATION)
    command = [str(GENERATOR), "generate", "--path", "openapi.json", "--config", "configuration.yaml", "--meta", "none"]
    done = subprocess.run([*command, "--output-path", NAME], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "will not be generated" not in done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module(NAME)
    sys.path.remove(str(folder))
    shutil.rmtree(folder)


def pair(origin: Origin, medium: str) -> tuple[str, str]:
    if medium == "image":
        files = (encoded(photo(961), "JPEG"), encoded(photo(961), "WEBP"))
    elif medium == "video":
        film = films.Film(961, 3.0, 160, 120)
        files = (films.encoded(film), films.encoded(replace(film, width=128, height=96)))
    else:
        song = music(961, 8.0)
        files = (recorded(song, "flac", rate=RATE), recorded(song, "mp3", rate=RATE))
    source, target = (origin.serve(f"generated-{medium}-{number}", content) for number, content in enumerate(files))
    return source, target


@pytest.mark.parametrize("medium", ["image", "video", "audio"])
def test_generated_client_makes_a_match_call(client: ModuleType, mesh: RunningMesh, origin: Origin, medium: str) -> None:
    endpoint = importlib.import_module(f"{NAME}.api.pairs.match_{medium}")
    models = importlib.import_module(f"{NAME}.models")
    source_url, target_url = pair(origin, medium)
    with client.Client(base_url=f"http://127.0.0.1:{mesh.port}") as opened:
        answer = endpoint.sync(client=opened, body=models.MatchRequest(source_url=source_url, target_url=target_url))
    assert isinstance(answer, models.MatchBody)
    assert answer.match is True
    assert answer.confidence == "high"
    assert answer.media_type == medium
    assert len(answer.matched_segments) == (0 if medium == "image" else 1)


def test_generated_client_reads_an_error(client: ModuleType, mesh: RunningMesh) -> None:
    endpoint = importlib.import_module(f"{NAME}.api.pairs.match_image")
    models = importlib.import_module(f"{NAME}.models")
    with client.Client(base_url=f"http://127.0.0.1:{mesh.port}") as opened:
        answer = endpoint.sync_detailed(client=opened, body=models.MatchRequest(source_url="ftp://x/y", target_url="http://10.0.0.1/"))
    assert answer.status_code == 400
    assert answer.parsed.error.code == "invalid_url"
