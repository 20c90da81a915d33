"""A library of yours over plain HTTP: index, wait, search. The recipes beside this file stand on it; copy it into your own."""

import os
import time
import uuid

import requests

BASE = os.environ.get("MEDIAMESH_URL", "http://127.0.0.1:8080")
TRIES = 6
LONGEST_WAIT_SECONDS = 60


class Refused(Exception):
    """What the mesh would not do; `code` is stable, the text is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Library:
    """That of the project whose key MEDIAMESH_API_KEY holds."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {os.environ['MEDIAMESH_API_KEY']}"

    def index(self, medium: str, url: str, **said: object) -> str:
        """The id of the asset, which is pending; said: name, collection, metadata, ttl_seconds, on_duplicate ..."""
        # However often the request has to be sent, there is one asset.
        once = {"Idempotency-Key": str(uuid.uuid4())}
        return self.ask("POST", f"/v1/index/{medium}/url", json={"url": url, **said}, headers=once)["asset_id"]

    def until_done(self, asset_id: str) -> dict:
        """The asset, once it is ready or failed."""
        while (asset := self.ask("GET", f"/v1/assets/{asset_id}"))["status"] not in ("ready", "failed"):
            time.sleep(0.1)
        return asset

    def assets(self, **narrowed: str) -> list[dict]:
        """All of them, page by page."""
        found, cursor = [], {}
        while True:
            page = self.ask("GET", "/v1/assets", params={"limit": "100", **narrowed, **cursor})
            found += page["assets"]
            if not page["next_cursor"]:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def search(self, medium: str, url: str, **wanted: object) -> list[dict]:
        """The hits, the most similar first; wanted: threshold, limit, collections, filter ..."""
        return self.ask("POST", f"/v1/search/{medium}/url", json={"url": url, **wanted})["results"]

    def search_file(self, medium: str, path: str, **wanted: str) -> list[dict]:
        """The same with a file, of which nothing is kept."""
        # Held in memory, so that it can be sent again.
        with open(path, "rb") as file:
            content = file.read()
        return self.ask("POST", f"/v1/search/{medium}/upload", files={"file": content}, data=wanted)["results"]

    def search_asset(self, medium: str, asset_id: str, **wanted: object) -> list[dict]:
        """The same with an asset that is ready."""
        return self.ask("POST", f"/v1/search/{medium}/asset", json={"asset_id": asset_id, **wanted})["results"]

    def ask(self, method: str, path: str, **content: object) -> dict:
        """A request of any kind; one that may be repeated is, once the mesh says that it is time."""
        for tries_left in reversed(range(TRIES)):
            response = self._session.request(method, BASE + path, timeout=60, **content)
            if response.ok:
                return response.json()
            wait_seconds = int(response.headers.get("Retry-After", 0))
            if not 0 < wait_seconds <= LONGEST_WAIT_SECONDS or not tries_left:
                break
            time.sleep(wait_seconds)
        error = response.json()["error"]
        raise Refused(error["code"], error["message"])
