"""Samples of docs/samples, run as their readers run them: each by its own interpreter, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.running_mesh import ROOT

FOLDER: Final = ROOT / "docs" / "samples"
_INTERPRETERS: Final = {".sh": "sh", ".py": sys.executable, ".mjs": "node", ".js": "node"}
_SECONDS: Final = 60


def run(sample: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Whatever comes of it."""
    command = [_INTERPRETERS[sample.suffix], str(sample), *arguments]
    # Who has a proxy for the Internet has none for loopback.
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=_SECONDS, check=False)


def printed(sample: Path, *arguments: str, **environment: str) -> str:
    done = run(sample, *arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def node_folder(into: Path) -> Path:
    """The samples beside what they need of npm, and the TypeScript compiled; skips where Node or its packages cannot be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no Node with npm here")
    folder = into / "samples"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("node_modules", "build", "__pycache__"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=80, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not answer")
    if installed.returncode:
        pytest.skip(f"npm cannot install: {installed.stderr[-300:]}")
    compiled = subprocess.run(["node", "node_modules/typescript/bin/tsc"], cwd=folder, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stdout
    return folder
