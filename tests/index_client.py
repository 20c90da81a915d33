"""A client of /v1 on a running mesh, with keys made as an operator makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.running_mesh import ROOT, Answer, RunningMesh

PATIENCE_SECONDS = 60.0


def admin(mesh: RunningMesh, *arguments: str) -> str:
    """What the admin command line prints."""
    environment = {**os.environ, "DATA_DIR": str(mesh.data_dir)}
    command = [sys.executable, "-m", "index_svc.admin", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def new_project(mesh: RunningMesh, *scopes: str) -> Project:
    """A project of its own, with a key that carries these scopes (none given: all)."""
    project = admin(mesh, "create-project", "test", "--plan", "unlimited")
    return Project(mesh, project, admin(mesh, "create-key", project, "test", *(scopes or ALL_SCOPES)))


ALL_SCOPES = (
    *("image:index", "image:search", "audio:index", "audio:search", "video:index", "video:search"),
    *("assets:read", "assets:delete", "jobs:read", "usage:read"),
    *("thresholds:read", "thresholds:write", "decisions:read"),
)


def form(*parts: tuple[str, object]) -> tuple[str, bytes]:
    """The content type and the body of a form."""
    boundary = "------------------------boundary"
    body = b""
    for name, value in parts:
        is_file = isinstance(value, bytes)
        content = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        file_name = '; filename="../../x.jpg"\r\nContent-Type: text/html' if is_file else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file_name}\r\n\r\n'.encode() + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


@dataclass
class Project:
    mesh: RunningMesh
    id: str
    key: str

    def request(self, method: str, path: str) -> Answer:
        return self.mesh.request(method, path, headers={"Authorization": f"Bearer {self.key}"})

    def post(self, path: str, **body: object) -> Answer:
        return self.mesh.post(path, body, Authorization=f"Bearer {self.key}")

    def upload(
        self, path: str, content: bytes, content_type: str = "application/octet-stream", *, key: str = "", **fields: object
    ) -> Answer:
        """The file as the body, the fields as the query."""
        query = urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()})
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type, **({"Idempotency-Key": key} if key else {})}
        return self.mesh.request("POST", f"{path}?{query}" if query else path, content, headers)

    def send_form(self, path: str, *parts: tuple[str, object]) -> Answer:
        """A form of these parts, in this order; bytes are sent as a file."""
        content_type, body = form(*parts)
        return self.mesh.request("POST", path, body, {"Authorization": f"Bearer {self.key}", "Content-Type": content_type})

    def index_upload(self, content: bytes, medium: str = "image", **said: object) -> str:
        """The id of the asset, once it is ready or failed."""
        accepted = self.upload(f"/v1/index/{medium}/upload", content, **said)  # type: ignore[arg-type]
        assert accepted.status == 202, accepted.body
        self.until_done(accepted.json["asset_id"])
        return str(accepted.json["asset_id"])

    def index(self, url: str, medium: str = "image", **said: object) -> str:
        """The id of the asset, once it is ready or failed."""
        accepted = self.post(f"/v1/index/{medium}/url", url=url, **said)
        assert accepted.status == 202, accepted.body
        self.until_done(accepted.json["asset_id"])
        return str(accepted.json["asset_id"])

    def until_done(self, asset: str) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = self.request("GET", f"/v1/assets/{asset}")
            if answer.status == 200 and answer.json["status"] in ("ready", "failed"):
                return answer.json
            time.sleep(0.02)
        raise TimeoutError(answer.body)

    def search(self, url: str, medium: str = "image", **wanted: object) -> list[dict[str, Any]]:
        answer = self.post(f"/v1/search/{medium}/url", url=url, **wanted)
        assert answer.status == 200, answer.body
        return list(answer.json["results"])
