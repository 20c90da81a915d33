"""python3 docker/requirements.py EXTRA: prints the part of requirements.lock that one service needs, with versions and hashes unchanged.

What the service asks for stands in pyproject.toml; what that asks for in turn, the lock says itself ("via").
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VIA = re.compile(r"#\s+(?:via\s+)?([A-Za-z0-9._-]+)")


def requirements_of(extra: str, project: str, lock: str) -> str:
    """Of pyproject.toml and the lock as texts."""
    declared = tomllib.loads(project)["project"]
    asked = [*declared["dependencies"], *(declared["optional-dependencies"][extra] if extra else ())]
    needed = {_canonical(match.group()) for text in asked if (match := _NAME.match(text))}
    blocks = [block for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE) if block.strip()]
    askers = [(_canonical(block), {_canonical(found) for found in _VIA.findall(block)} - {"via"}) for block in blocks]
    missing = needed - {name for name, _ in askers}
    if missing:
        raise SystemExit(f"not in requirements.lock: {', '.join(sorted(missing))}")
    while more := {name for name, via in askers if via & needed} - needed:
        needed |= more
    return "".join(block for block, (name, _) in zip(blocks, askers, strict=True) if name in needed)


def _canonical(text: str) -> str:
    match = _NAME.match(text)
    return re.sub(r"[-_.]+", "-", match.group()).lower() if match else ""


if __name__ == "__main__":
    sys.stdout.write(requirements_of(sys.argv[1], (ROOT / "pyproject.toml").read_text(), (ROOT / "requirements.lock").read_text()))
