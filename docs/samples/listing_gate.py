"""Which lane a new listing takes: listing_gate.py LISTING_URL REFERENCE_URL... prints auto-block, review or pass."""

import os
import sys
from urllib.parse import urlsplit

import requests

AUTO_BLOCK_FROM = 0.97  # nearly the same image
REVIEW_FROM = 0.85  # a near-duplicate: for someone to look at

BASE = os.environ.get("MEDIAMESH_URL", "http://127.0.0.1:8080")
HEADERS = {
    "x-rapidapi-key": os.environ.get("MEDIAMESH_API_KEY", "none"),
    "x-rapidapi-host": urlsplit(BASE).netloc,
    "Content-Type": "application/json",
}


def score(listing_url: str, reference_url: str) -> float:
    body = {"source_url": listing_url, "target_url": reference_url}
    response = requests.post(f"{BASE}/image/match", json=body, headers=HEADERS, timeout=30)
    response.raise_for_status()
    return response.json()["similarity_score"]


def lane_of(listing_url: str, reference_urls: list[str]) -> str:
    """The strictest that any of the references asks for."""
    lane = "pass"
    for reference_url in reference_urls:
        similarity = score(listing_url, reference_url)
        if similarity >= AUTO_BLOCK_FROM:
            return "auto-block"
        if similarity >= REVIEW_FROM:
            lane = "review"
    return lane


print(lane_of(sys.argv[1], sys.argv[2:]))
