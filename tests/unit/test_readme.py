"""README says what the code does."""

from __future__ import annotations

import os
import re

import msgspec
import pytest

import audio_svc.settings
import fetcher_svc.settings
import gateway.settings
import image_svc.settings
import index_svc.settings
import video_svc.settings
from mesh.errors import BY_CODE
from mesh.settings import MeshSettings
from mesh.supervisor import Settings as SupervisorSettings
from tests.running_mesh import ROOT

README = (ROOT / "README.md").read_text()
SETTINGS = (
    gateway.settings.Settings,
    image_svc.settings.Settings,
    audio_svc.settings.Settings,
    video_svc.settings.Settings,
    fetcher_svc.settings.Settings,
    index_svc.settings.Settings,
    SupervisorSettings,
)
SHOWN_IN_WORDS = {
    **{f"{service}_WORKERS": "one a processor" for service in ("IMAGE", "AUDIO", "VIDEO")},
    **{f"{service}_LISTEN": "as the address" for service in ("IMAGE", "AUDIO", "VIDEO", "FETCHER", "INDEX")},
}


def documented() -> dict[str, str]:
    """Variable to default, as the table has them."""
    table: dict[str, str] = {}
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([A-Z_]+)`", cells[0])
        if names and len(cells) == 3:
            defaults = re.findall(r"`([^`]*)`", cells[1]) or [cells[1]] * len(names)
            table.update(zip(names, defaults * len(names) if len(defaults) == 1 else defaults, strict=False))
    return table


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__module__)
def test_every_setting_is_documented_with_its_default(settings: type[MeshSettings]) -> None:
    table = documented()
    for field in msgspec.structs.fields(settings):
        variable = settings.variable(field.name)
        assert table.get(variable) == SHOWN_IN_WORDS.get(variable, shown(field.default)), variable


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {settings.variable(field.name) for settings in SETTINGS for field in msgspec.structs.fields(settings)}
    assert set(documented()) <= known


def test_default_of_workers_is_one_a_processor() -> None:
    assert {room.settings.Settings().workers for room in (image_svc, audio_svc, video_svc)} == {os.cpu_count()}


@pytest.mark.parametrize("error", BY_CODE.values(), ids=BY_CODE)
def test_every_code_is_documented_beside_its_status(error: type) -> None:
    line = next(line for line in README.splitlines() if f"`{error.code}`" in line and line.startswith("| "))  # type: ignore[attr-defined]
    assert str(error.http_status) in line.split("|")[1]  # type: ignore[attr-defined]
