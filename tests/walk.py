"""What a document shows in its code blocks, done as its reader would do it: in one shell, one block after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import ROOT, RunningMesh

DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED: Final = re.compile(r"(?<=\n\n)((?:    curl .*\n)(?:    .*\n)*)")
_PICTURE: Final = re.compile(r"https://picsum\.photos/id/(\d+)/(\d+)/(\d+)\.(jpg|webp)")
_PICTURES: Final = "https://picsum.photos/"
_GATEWAY: Final = "http://127.0.0.1:8080"
_SEPARATOR: Final = "\x1e"
_SECONDS: Final = 100
_MAKE: Final = """\
for word; do
  case "$word" in FILE=*) file=${{word#FILE=}};; OPTIONS=*) options=${{word#OPTIONS=}};; key|studio) target=$word;; esac
done
case "$target" in
  key) exec "{python}" -m index_svc.admin key;;
  studio) exec "{python}" -m gateway.studio "$file" --url "$MEDIAMESH_URL" $options;;
esac
exit 1"""
_SCORE: Final = re.compile(r"\b[01]\.\d\d\b")


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks_of(document: Path) -> list[Block]:
    """In their order; one that is only indented counts where it is a request."""
    text = document.read_text()
    found = [(match.start(), Block(match[1], match[2])) for match in _FENCED.finditer(text)]
    found += [(match.start(), Block("sh", re.sub("^    ", "", match[1], flags=re.MULTILINE))) for match in _INDENTED.finditer(text)]
    return [block for _, block in sorted(found, key=lambda each: each[0])]


def commands_of(document: Path) -> list[str]:
    return [block.text for block in blocks_of(document) if block.language == "sh"]


class Walk:
    """In a folder that looks like the repository's, with a mesh for the one of `make run` and an origin for the Internet."""

    def __init__(self, mesh: RunningMesh, origin: Origin, folder: Path) -> None:
        self._mesh = mesh
        self._origin = origin
        self._folder = folder
        for path in ROOT.iterdir():
            if path.name not in ("data", ".venv", ".git") and not path.name.startswith("."):
                (folder / path.name).symlink_to(path)
        (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        (folder / "data").symlink_to(mesh.data_dir)
        self._programs = folder / "programs"
        self._programs.mkdir()
        # make itself would look whether what it needs is installed.
        self._add_program("make", _MAKE.format(python=sys.executable))
        self._add_program("python3", f'exec "{sys.executable}" "$@"')

    def run(self, commands: list[str]) -> list[str]:
        """What each printed; all of them succeed."""
        script = "".join(f"printf '\\036'\n{command}\n" for command in commands).replace(_GATEWAY, self._gateway)
        script = _PICTURE.sub(self._served, script).replace(_PICTURES, self._origin.url("walk/"))
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {
            **kept,
            "DATA_DIR": str(self._mesh.data_dir),
            "MEDIAMESH_URL": self._gateway,
            "PATH": f"{self._programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-euc", script], cwd=self._folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        shown = done.stdout.replace(self._origin.url("walk/"), _PICTURES).replace("\r\n", "\n")
        return shown.split(_SEPARATOR)[1:]

    @property
    def _gateway(self) -> str:
        return f"http://127.0.0.1:{self._mesh.port}"

    def _served(self, named: re.Match[str]) -> str:
        """A drawn picture in place of the photograph: of each number one, in any size."""
        number, width, height, suffix = named.groups()
        name = f"walk/{named[0].removeprefix(_PICTURES)}"
        picture = Image.fromarray(photo(70_000 + int(number))).resize((int(width), int(height)))
        return self._origin.serve(name, encoded(picture, "JPEG" if suffix == "jpg" else "WEBP", quality=90))

    def _add_program(self, name: str, script: str) -> None:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def without_scores(text: str) -> str:
    return _SCORE.sub("0.00", text)
