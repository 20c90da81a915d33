"""A client of /v1 on a running mesh, with keys made as an operator makes them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

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
)


@dataclass
class Project:
    mesh: RunningMesh
    id: str
    key: str

    def request(self, method: str, path: str) -> Answer:
        return self.mesh.request(method, path, headers={"Authorization": f"Bearer {self.key}"})

    def post(self, path: str, **body: object) -> Answer:
        return self.mesh.post(path, body, Authorization=f"Bearer {self.key}")

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
