"""Compare two files with requests: match_requests.py image|video|audio SOURCE_URL TARGET_URL"""

import os
import sys
from urllib.parse import urlsplit

import requests

BASE = os.environ.get("MEDIAMESH_URL", "http://127.0.0.1:8080")
HEADERS = {
    "x-rapidapi-key": os.environ.get("MEDIAMESH_API_KEY", "none"),
    "x-rapidapi-host": urlsplit(BASE).netloc,
    "Content-Type": "application/json",
}

medium, source_url, target_url = sys.argv[1:]
response = requests.post(
    f"{BASE}/{medium}/match",
    json={"source_url": source_url, "target_url": target_url},
    headers=HEADERS,
    timeout=30,
)
response.raise_for_status()
print(response.json())
