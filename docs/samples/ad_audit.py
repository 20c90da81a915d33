"""Which creatives are used by more than one buyer, or twice by one: ad_audit.py CREATIVES.csv REPORT.csv

The first has the columns buyer, media_type and url. Each buyer has a collection; each creative is searched for among all, but for itself.
"""

import csv
import sys

from library import Library

THRESHOLD = 0.85

library = Library()


def collection_of(buyer: str) -> str:
    return f"buyer {buyer}"


def indexed(rows: list[dict[str, str]]) -> list[tuple[dict[str, str], str]]:
    """The rows that could be fetched, with their assets."""
    pending = [(row, library.index(row["media_type"], row["url"], name=row["url"], collection=collection_of(row["buyer"]))) for row in rows]
    done = [(row, library.until_done(asset_id)) for row, asset_id in pending]
    for row, asset in done:
        if asset["status"] == "failed":
            print(f"{row['url']}: {asset['error']['message']}", file=sys.stderr)
    return [(row, asset["id"]) for row, asset in done if asset["status"] == "ready"]


creatives_path, report_path = sys.argv[1:]
with open(creatives_path, newline="") as file:
    creatives = list(csv.DictReader(file))
with open(report_path, "w", newline="") as file:
    report = csv.writer(file)
    report.writerow(["buyer", "creative", "also used by", "as", "similarity"])
    for row, asset_id in indexed(creatives):
        everybody = sorted({collection_of(creative["buyer"]) for creative in creatives})
        wanted = {"threshold": THRESHOLD, "collections": everybody, "exclude_self": True, "limit": 100}
        for hit in library.search_asset(row["media_type"], asset_id, **wanted):
            other = hit["collection"].removeprefix("buyer ")
            report.writerow([row["buyer"], row["url"], other, hit["name"], f"{hit['similarity']:.2f}"])
