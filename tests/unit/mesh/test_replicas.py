from __future__ import annotations

import pytest

import audio_svc.settings
import fetcher_svc.settings
import gateway.settings
import image_svc.settings
import index_svc.settings
import video_svc.settings
from mesh.replicas import METRICS_PORTS, dial_address, listen_addresses, replica_environments, shared_environment
from mesh.settings import InvalidSettings

ROOMS = {
    "gateway": gateway.settings.Settings().gateway_metrics_port,
    "image": image_svc.settings.Settings().metrics_port,
    "video": video_svc.settings.Settings().metrics_port,
    "audio": audio_svc.settings.Settings().metrics_port,
    "fetcher": fetcher_svc.settings.Settings().fetcher_metrics_port,
    "index": index_svc.settings.Settings().index_metrics_port,
}


def test_first_replica_listens_where_it_would_alone() -> None:
    assert listen_addresses("image", "unix:image.sock", 3) == ["unix:image.sock", "unix:image-2.sock", "unix:image-3.sock"]


def test_others_dial_all_of_them() -> None:
    assert dial_address(["unix:image.sock", "unix:image-2.sock"]) == "unix:image.sock,image-2.sock"
    assert shared_environment({}, 2)["FETCHER_ADDRESS"] == "unix:fetcher.sock,fetcher-2.sock"


def test_one_replica_is_told_nothing_new() -> None:
    assert shared_environment({"A": "b"}, 1) == {"A": "b"}
    assert replica_environments({}, "image", 1) == [{}]


def test_service_that_the_mesh_does_not_have_stays_away() -> None:
    assert shared_environment({"AUDIO_ADDRESS": ""}, 2)["AUDIO_ADDRESS"] == ""


@pytest.mark.parametrize("service", METRICS_PORTS)
def test_metrics_of_replicas_start_at_the_port_of_the_service_and_never_meet(service: str) -> None:
    assert METRICS_PORTS[service] == ROOMS[service]
    ports = [one[f"{service.upper()}_METRICS_PORT"] for one in replica_environments({}, service, 16)]
    assert ports[0] == str(ROOMS[service])
    others = {port for other in METRICS_PORTS if other != service for port in _ports(other)}
    assert not others & set(ports)


def _ports(service: str) -> list[str]:
    return [one[f"{service.upper()}_METRICS_PORT"] for one in replica_environments({}, service, 16)]


def test_metrics_that_are_off_stay_off() -> None:
    assert all("IMAGE_METRICS_PORT" not in one for one in replica_environments({"IMAGE_METRICS_PORT": "0"}, "image", 2))


@pytest.mark.parametrize(
    "environment", [{"IMAGE_ADDRESS": "127.0.0.1:50051"}, {"IMAGE_ADDRESS": "unix:image"}, {"IMAGE_LISTEN": "unix:other.sock"}]
)
def test_what_cannot_be_shared_out_is_refused_by_name(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="IMAGE_"):
        shared_environment(environment, 2)
