"""What is to become of an upload: upload_moderation.py image|video|audio FILE prints remove, review or pass.

Two collections with rules of their own are searched at once: known-bad, for good, and removed, what moderators took down lately.
`upload_moderation.py --removed image|video|audio URL` remembers such a one for 90 days.
"""

import sys

from library import Library

REMOVE_FROM = {"known-bad": 0.85, "removed": 0.97}
REVIEW_FROM = 0.6
REMEMBERED_SECONDS = 90 * 24 * 3600

library = Library()


def action_on(medium: str, path: str) -> str:
    action = "pass"
    for hit in library.search_file(medium, path, threshold=str(REVIEW_FROM), collections='["known-bad", "removed"]'):
        if hit["similarity"] >= REMOVE_FROM[hit["collection"]]:
            return f"remove: {hit['similarity']:.2f} like {hit['name']} of {hit['collection']}{where(hit)}"
        action = f"review: {hit['similarity']:.2f} like {hit['name']} of {hit['collection']}{where(hit)}"
    return action


def where(hit: dict) -> str:
    """The seconds of the upload that are known; pictures have none."""
    parts = [f"{segment['source_start']:.0f}-{segment['source_end']:.0f} s" for segment in hit["matched_segments"]]
    return f", at {', '.join(parts)}" if parts else ""


if sys.argv[1] == "--removed":
    medium, url = sys.argv[2:]
    fields = {"name": url.rsplit("/", 1)[-1], "collection": "removed", "ttl_seconds": REMEMBERED_SECONDS}
    print(library.until_done(library.index(medium, url, **fields))["status"])
else:
    print(action_on(*sys.argv[1:]))
