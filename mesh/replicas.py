"""Several processes of one service on one machine: where each listens, where its metrics are, and what the others dial."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mesh.settings import InvalidSettings

METRICS_PORTS: Final = MappingProxyType({"gateway": 9100, "image": 9101, "video": 9102, "audio": 9103, "fetcher": 9104, "index": 9105})
"""The services' own defaults."""
METRICS_STEP: Final = 10
"""From one replica's port to the next one's, so that those of different services do not meet."""
_WITH_WORKERS: Final = ("image", "video", "audio")


def listen_addresses(service: str, address: str, count: int) -> list[str]:
    """One a replica, the first where it would listen alone: what dials that one, such as `make key`, need not know of the others."""
    if count == 1 or not address:
        return [address]
    stem = address.removesuffix(".sock")
    if not address.startswith("unix:") or stem == address or "," in address:
        raise InvalidSettings(f"REPLICAS={count} takes unix sockets: {service.upper()}_ADDRESS={address} is none that ends in .sock")
    return [address, *(f"{stem}-{number}.sock" for number in range(2, count + 1))]


def dial_address(listening: list[str]) -> str:
    """One target that means all of them."""
    first, *others = listening
    return ",".join((first, *(address.removeprefix("unix:") for address in others)))


def shared_environment(environment: Mapping[str, str], count: int) -> dict[str, str]:
    """What every process is told, the first replicas included."""
    told = dict(environment)
    if count == 1:
        return told
    for service in METRICS_PORTS:
        if service == "gateway":
            continue
        variable = f"{service.upper()}_ADDRESS"
        told[variable] = dial_address(listen_addresses(service, environment.get(variable, f"unix:{service}.sock"), count))
        if environment.get(f"{service.upper()}_LISTEN"):
            raise InvalidSettings(f"REPLICAS={count}: each listens where {variable} says; unset {service.upper()}_LISTEN")
    for service in _WITH_WORKERS:
        told.setdefault(f"{service.upper()}_WORKERS", str(max(1, (os.cpu_count() or 1) // count)))
    return told


def replica_environments(environment: Mapping[str, str], service: str, count: int) -> list[dict[str, str]]:
    """What each replica is told beside that: its own address, and its own port for metrics."""
    if count == 1:
        return [{}]
    variable = f"{service.upper()}_METRICS_PORT"
    text = environment.get(variable, "").strip() or str(METRICS_PORTS[service])
    base = int(text) if text.isdecimal() else 0
    replicas = [{variable: str(base + METRICS_STEP * number)} if base else {} for number in range(count)]
    if service == "gateway":
        return replicas
    listening = listen_addresses(service, environment.get(f"{service.upper()}_ADDRESS", f"unix:{service}.sock"), count)
    return [{**own, f"{service.upper()}_LISTEN": address} for own, address in zip(replicas, listening, strict=True)]
