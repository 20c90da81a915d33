"""Settings come from the environment, once, typed; every problem is reported together, by the variable's name.

A field `gateway_port` is the variable GATEWAY_PORT. A service's class adds its own fields to MeshSettings; what all matchers have is in
MatcherSettings, and `workers` of the image matcher is IMAGE_WORKERS.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1, le=1024)]

# A unix socket's path ends at 107 characters; the longest of ours is fetcher-16.sock.
_MAX_RUNTIME_PATH = 90
# Higher than between the names of any two services' settings.
_MISTYPED_LIKENESS = 0.89
_SWITCH = {"on": "true", "off": "false", "yes": "true", "no": "false"}

Settings = TypeVar("Settings", bound="MeshSettings")


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads."""

    data_dir: Annotated[str, Meta(min_length=1)] = "data"
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_host: str = "127.0.0.1"
    # Where traces go, by OTLP over gRPC; empty: nowhere.
    otel_exporter_otlp_endpoint: str = ""
    # Where health is answered to probes that know no TLS, and nothing else is; empty: only where the service itself listens.
    health_listen: str = ""
    # When told to stop: say so first, so that others look elsewhere, then finish what is under way.
    lame_duck_seconds: Annotated[float, Meta(ge=0, le=60)] = 0.0
    drain_seconds: Annotated[float, Meta(ge=0, le=300)] = 25.0
    # Connections between the services are made anew after about so long, so that new replicas get work.
    connection_age_seconds: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    # All three or none: mutual TLS between the services.
    mesh_tls_cert: str = ""
    mesh_tls_key: str = ""
    mesh_tls_ca: str = ""
    # Names in certificates whose holders may call this service; none named: every holder of one of the mesh.
    mesh_callers: tuple[str, ...] = ()
    # Says that something else keeps strangers from TCP ports without TLS, such as a network policy.
    mesh_plaintext: bool = False

    @classmethod
    def variable(cls, field: str) -> str:
        """What the field is called in the environment."""
        return field.upper()

    @property
    def runtime_dir(self) -> Path:
        """Where the unix sockets lie."""
        run = Path(self.data_dir).resolve() / "run"
        if len(str(run)) <= _MAX_RUNTIME_PATH:
            return run
        digest = hashlib.sha256(str(run).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"mediamesh-{os.getuid()}-{digest}"


class MatcherSettings(MeshSettings, frozen=True, kw_only=True):
    """What every matcher reads."""

    medium: ClassVar[str]

    # What others dial; LISTEN where what this service binds is something else.
    address: str
    listen: str = ""
    metrics_port: Port
    fetcher_address: str = "unix:fetcher.sock"
    workers: Count = os.cpu_count() or 1
    # Pairs at once, before anything is fetched; more are `overloaded`.
    max_under_way: Count
    cache_bytes: Annotated[int, Meta(ge=0)] = 128 * 1024 * 1024
    # What decoding one file may take above an idle worker.
    worker_memory_bytes: Annotated[int, Meta(ge=256 * 1024 * 1024)]

    @classmethod
    def variable(cls, field: str) -> str:
        return f"{cls.medium}_{field}".upper() if field in _OF_ONE_MATCHER else field.upper()


_OF_ONE_MATCHER: Final = set(MatcherSettings.__struct_fields__) - set(MeshSettings.__struct_fields__) - {"fetcher_address"}


class InvalidSettings(Exception):
    """One line a problem."""


def read_settings(settings_class: type[Settings], environment: Mapping[str, str] = os.environ) -> Settings:
    """The class filled from the environment; raises InvalidSettings that names every wrong variable."""
    values: dict[str, Any] = {}
    problems = []
    for field in msgspec.structs.fields(settings_class):
        variable = settings_class.variable(field.name)
        text = environment.get(variable, "").strip()
        # Set but empty: no such thing where the setting is a text, else as if it were not set.
        if variable not in environment or (not text and field.type is not str):
            continue
        try:
            values[field.name] = _convert(text, field.type)
        except msgspec.ValidationError as problem:
            problems.append(f"{variable}={text!r}: {problem}")
    if not problems:
        try:
            settings = msgspec.convert(values, settings_class)
        except msgspec.ValidationError as problem:
            problems.append(str(problem))
    if problems:
        raise InvalidSettings("\n".join(problems))
    tls = [settings.mesh_tls_cert, settings.mesh_tls_key, settings.mesh_tls_ca]
    if any(tls) and not all(tls):
        raise InvalidSettings("MESH_TLS_CERT, MESH_TLS_KEY and MESH_TLS_CA: set all three or none")
    if settings.mesh_callers and not all(tls):
        raise InvalidSettings("MESH_CALLERS: names in certificates, so set MESH_TLS_CERT, MESH_TLS_KEY and MESH_TLS_CA, too")
    return settings


def unknown_variables(settings_class: type[MeshSettings], prefix: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like this service's own and are none: most likely a typing error."""
    known = {settings_class.variable(field.name) for field in msgspec.structs.fields(settings_class)}
    return sorted(
        name
        for name in environment
        if name not in known and (name.startswith(prefix) or difflib.get_close_matches(name, known, 1, _MISTYPED_LIKENESS))
    )


def make_runtime_dir(settings: MeshSettings) -> Path:
    """The folder of the sockets, ours alone."""
    folder = settings.runtime_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise InvalidSettings(f"{folder} is not a folder of this user")
    folder.chmod(0o700)
    return folder


def exit_on_invalid(problem: InvalidSettings) -> None:
    """End the process, with every problem on a line of its own."""
    sys.exit("invalid settings:\n" + "\n".join(f"  {line}" for line in str(problem).splitlines()))


def _convert(text: str, wanted: Any) -> Any:
    if wanted == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if wanted is bool:
        text = _SWITCH.get(text.lower(), text.lower())
    return msgspec.convert(text, wanted, strict=False)
