"""Compare one file with several at once, with httpx: match_httpx.py image|video|audio SOURCE_URL TARGET_URL..."""

import asyncio
import os
import sys
from urllib.parse import urlsplit

import httpx

BASE = os.environ.get("MEDIAMESH_URL", "http://127.0.0.1:8080")
HEADERS = {
    "x-rapidapi-key": os.environ.get("MEDIAMESH_API_KEY", "none"),
    "x-rapidapi-host": urlsplit(BASE).netloc,
    "Content-Type": "application/json",
}


async def match(client: httpx.AsyncClient, medium: str, source_url: str, target_url: str) -> dict:
    response = await client.post(f"/{medium}/match", json={"source_url": source_url, "target_url": target_url})
    response.raise_for_status()
    return response.json()


async def main(medium: str, source_url: str, *target_urls: str) -> None:
    async with httpx.AsyncClient(base_url=BASE, headers=HEADERS, timeout=30) as client:
        for answer in await asyncio.gather(*(match(client, medium, source_url, url) for url in target_urls)):
            print(answer)


asyncio.run(main(*sys.argv[1:]))
