from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

import audio_svc.settings
import fetcher_svc.settings
import gateway.settings
import image_svc.settings
import index_svc.settings
import video_svc.settings
from mesh.settings import InvalidSettings, MeshSettings, Port, make_runtime_dir, read_settings, unknown_variables


class Sample(MeshSettings, frozen=True, kw_only=True):
    sample_port: Port = 8080
    sample_names: tuple[str, ...] = ()
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.5
    sample_switch: bool = True


def test_defaults_hold_where_nothing_is_set() -> None:
    assert read_settings(Sample, {}) == Sample()


def test_variables_are_read_in_their_types() -> None:
    settings = read_settings(
        Sample, {"SAMPLE_PORT": "9", "SAMPLE_NAMES": "a, b ,,c", "SAMPLE_RATIO": "1", "SAMPLE_SWITCH": "off", "LOG_FORMAT": "text"}
    )
    assert settings == Sample(sample_port=9, sample_names=("a", "b", "c"), sample_ratio=1.0, sample_switch=False, log_format="text")


def test_empty_variable_means_the_default_for_a_number_and_nothing_for_a_text() -> None:
    settings = read_settings(Sample, {"SAMPLE_PORT": " ", "METRICS_HOST": ""})
    assert (settings.sample_port, settings.metrics_host) == (8080, "")


def test_other_services_settings_are_not_taken_for_mistyped_ones() -> None:
    rooms = (gateway, image_svc, video_svc, audio_svc, fetcher_svc, index_svc)
    classes = [room.settings.Settings for room in rooms]
    everything = {settings.variable(field.name): "x" for settings in classes for field in msgspec.structs.fields(settings)}
    for settings in classes:
        assert unknown_variables(settings, "NONE_", everything) == []


def test_what_all_matchers_have_is_set_for_each_by_its_name() -> None:
    environment = {"IMAGE_WORKERS": "3", "VIDEO_WORKERS": "many", "IMAGE_ADDRESS": "a:1", "FETCHER_ADDRESS": "b:2", "WORKERS": "9"}
    settings = read_settings(image_svc.settings.Settings, environment)
    assert (settings.workers, settings.address, settings.fetcher_address) == (3, "a:1", "b:2")
    assert unknown_variables(image_svc.settings.Settings, "IMAGE_", {"IMAGE_WORKRES": "1", "IMAGE_WORKERS": "1"}) == ["IMAGE_WORKRES"]
    with pytest.raises(InvalidSettings, match="VIDEO_WORKERS='many'"):
        read_settings(video_svc.settings.Settings, environment)


@pytest.mark.parametrize(("text", "is_on"), [("on", True), ("true", True), ("1", True), ("off", False), ("False", False), ("0", False)])
def test_switch_is_understood_in_the_words_people_use(text: str, *, is_on: bool) -> None:
    assert read_settings(Sample, {"SAMPLE_SWITCH": text}).sample_switch is is_on


def test_all_problems_are_reported_together_by_name() -> None:
    with pytest.raises(InvalidSettings) as problem:
        read_settings(Sample, {"SAMPLE_PORT": "70000", "SAMPLE_RATIO": "much", "LOG_LEVEL": "loud"})
    assert [line.split("=")[0] for line in str(problem.value).splitlines()] == ["LOG_LEVEL", "SAMPLE_PORT", "SAMPLE_RATIO"]


def test_tls_is_given_whole_or_not_at_all() -> None:
    with pytest.raises(InvalidSettings, match="all three or none"):
        read_settings(Sample, {"MESH_TLS_CERT": "cert.pem"})


def test_mistyped_variable_is_noticed_and_others_are_not_ours() -> None:
    environment = {"SAMPLE_PROT": "1", "MESH_TLS_CRT": "a", "SAMPLE_PORT": "1", "PATH": "/bin"}
    assert unknown_variables(Sample, "SAMPLE_", environment) == ["MESH_TLS_CRT", "SAMPLE_PROT"]


def test_runtime_folder_is_ours_alone(tmp_path: Path) -> None:
    folder = make_runtime_dir(Sample(data_dir=str(tmp_path)))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_sockets_of_a_deep_data_folder_lie_in_a_short_place(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    folder = Sample(data_dir=str(deep)).runtime_dir
    assert len(str(folder / "fetcher.sock")) < 107
    assert folder == Sample(data_dir=str(deep)).runtime_dir != Sample(data_dir=str(deep / "other")).runtime_dir
