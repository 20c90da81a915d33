"""A whole mesh, started as its users start it, on a free port and a data folder of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent
START_SECONDS = 200.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.json["error"]["code"])


class RunningMesh:
    """Enter it to start the processes; leaves none behind."""

    def __init__(self, data_dir: Path, *, log_name: str = "mesh.log", **environment: str) -> None:
        self.data_dir = data_dir
        self._log_path = data_dir / log_name
        self.port = free_port()
        self._command = [sys.executable, "-m", "mesh"]
        self._environment = {
            "FETCHER_ALLOW_NETWORKS": "127.0.0.0/8",
            "LOG_FORMAT": "json",
            **{f"{name}_METRICS_PORT": "0" for name in ("GATEWAY", "IMAGE", "VIDEO", "AUDIO", "FETCHER", "INDEX")},
            **environment,
        }

    def __enter__(self) -> Self:
        environment = {**os.environ, **self._environment, "DATA_DIR": str(self.data_dir), "GATEWAY_PORT": str(self.port)}
        self._log = self._log_path.open("w")
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=environment, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + START_SECONDS
        while self.get("/readyz", patient=True).status != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"the mesh did not start:\n{self.log}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()  # its services die with it
                raise
        self._log.close()

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def get(self, path: str, *, patient: bool = False) -> Answer:
        try:
            return self.request("GET", path, timeout_seconds=2 if patient else 60)
        except OSError:
            if not patient:
                raise
            return Answer(0, {}, b"")

    def match(self, source_url: object, target_url: object, medium: str = "image", **options: object) -> Answer:
        return self.post(f"/{medium}/match", {"source_url": source_url, "target_url": target_url, **options})

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})

    def connect(self, timeout_seconds: float) -> socket.socket:
        """A connection to its front door."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, timeout_seconds: float = 60
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        connection.sock = self.connect(timeout_seconds)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
