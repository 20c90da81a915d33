"""Mutual TLS with certificates that may be replaced while the service runs: each new connection uses what the files hold by then.

Calls that are under way stay on the connections that they began on, so a renewal costs none of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from mesh import call
from mesh.settings import InvalidSettings, MeshSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Certificate:
    """In PEM."""

    key: bytes
    chain: bytes
    authority: bytes


class CertificateFiles:
    """The three files that the settings name."""

    def __init__(self, settings: MeshSettings) -> None:
        self._chain, self._key, self._authority = settings.mesh_tls_cert, settings.mesh_tls_key, settings.mesh_tls_ca
        try:
            self._state = self._look()
            self._held = self._read()
        except (OSError, ssl.SSLError) as problem:
            raise InvalidSettings(f"MESH_TLS_CERT, MESH_TLS_KEY, MESH_TLS_CA: {problem}") from problem

    @property
    def current(self) -> Certificate:
        """What they hold; what they held before, where they cannot be read or do not belong together."""
        try:
            state = self._look()
            if state != self._state:
                held = self._read()
                if state == self._look():
                    self._state, self._held = state, held
                    _log.info("certificate renewed")
        except (OSError, ssl.SSLError) as problem:
            # Halfway through being replaced, most likely; the next connection looks again.
            _log.warning("certificate not renewed", extra={"problem": type(problem).__name__})
        return self._held

    def _look(self) -> list[tuple[int, int, int]]:
        found = map(os.stat, (self._chain, self._key, self._authority))
        return [(status.st_ino, status.st_mtime_ns, status.st_size) for status in found]

    def _read(self) -> Certificate:
        chain, key, authority = (Path(path).read_bytes() for path in (self._chain, self._key, self._authority))
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trial.load_cert_chain(self._chain, self._key)
        trial.load_verify_locations(self._authority)
        return Certificate(key, chain, authority)


def server_credentials(settings: MeshSettings) -> grpc.ServerCredentials:
    """Those of a server that asks every caller for a certificate of the mesh."""
    files = CertificateFiles(settings)

    def now() -> grpc.ServerCertificateConfiguration:
        held = files.current
        return grpc.ssl_server_certificate_configuration([(held.key, held.chain)], root_certificates=held.authority)

    return grpc.dynamic_ssl_server_credentials(now(), now, require_client_authentication=True)


class RenewingChannel:
    """A channel, as the stubs know it, that is opened anew for the next call once the certificate is another."""

    def __init__(self, settings: MeshSettings, target: str, options: list[tuple[str, Any]]) -> None:
        self._files = CertificateFiles(settings)
        self._target, self._options = target, options
        self._retiring: set[asyncio.Task[None]] = set()
        self._certificate = self._files.current
        self._channel = self._open()

    async def __aenter__(self) -> RenewingChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        for task in self._retiring:
            task.cancel()
        await self._channel.close(grace)

    def unary_unary(self, *method: Any, **how: Any) -> Any:
        return self._on_channel_of_its_time("unary_unary", *method, **how)

    def unary_stream(self, *method: Any, **how: Any) -> Any:
        return self._on_channel_of_its_time("unary_stream", *method, **how)

    def stream_unary(self, *method: Any, **how: Any) -> Any:
        return self._on_channel_of_its_time("stream_unary", *method, **how)

    def stream_stream(self, *method: Any, **how: Any) -> Any:
        return self._on_channel_of_its_time("stream_stream", *method, **how)

    def _on_channel_of_its_time(self, kind: str, *method: Any, **how: Any) -> Any:
        def start(*request: Any, **options: Any) -> Any:
            return getattr(self._now(), kind)(*method, **how)(*request, **options)

        return start

    def _now(self) -> grpc.aio.Channel:
        if (held := self._files.current) != self._certificate:
            self._certificate = held
            # Its calls have their time to end.
            task = asyncio.create_task(self._channel.close(call.MAX_SECONDS))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
            self._channel = self._open()
        return self._channel

    def _open(self) -> grpc.aio.Channel:
        held = self._certificate
        credentials = grpc.ssl_channel_credentials(held.authority, held.key, held.chain)
        return grpc.aio.secure_channel(self._target, credentials, options=self._options)


def names_of_peer(context: grpc.aio.ServicerContext[Any, Any]) -> set[str]:
    """What the caller's certificate says that it is."""
    return {name.decode() for name in context.auth_context().get("x509_subject_alternative_name", ())}
