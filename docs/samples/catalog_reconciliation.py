"""Which product each picture of a supplier shows: catalog_reconciliation.py PRODUCTS.csv SUPPLIED.csv REPORT.csv

Products have the columns sku and url, what was supplied item and url. The report says for each item: the sku, how alike, and what to do.
"""

import csv
import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from library import Library, Refused

SAME_FROM = 0.85
LOOK_FROM = 0.6
AT_ONCE = 4

library = Library()


def index_products(path: str) -> None:
    """In one request; a product that is there already is not indexed twice."""
    known = {asset["name"] for asset in library.assets(collection="products", type="image")}
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["sku"] not in known]
    if not rows:
        return
    sent = io.StringIO()
    table = csv.writer(sent)
    table.writerow(["url", "media_type", "name", "collection"])
    table.writerows([row["url"], "image", row["sku"], "products"] for row in rows)
    content = {"data": sent.getvalue().encode(), "headers": {"Content-Type": "text/csv"}}
    job_id = library.ask("POST", "/v1/index/bulk/csv", **content)["job_id"]
    while (job := library.ask("GET", f"/v1/jobs/{job_id}"))["status"] in ("pending", "processing"):
        time.sleep(0.2)
    if job["progress"]["failed"]:
        print(f"{job['progress']['failed']} products could not be indexed: see /v1/jobs/{job_id}/rows", file=sys.stderr)


def reconciled(row: dict[str, str]) -> list[str]:
    try:
        hits = library.search("image", row["url"], threshold=LOOK_FROM, collections=["products"], limit=1)
    except Refused as refusal:
        return [row["item"], "", "", refusal.code]
    if not hits:
        return [row["item"], "", "", "new product"]
    (hit,) = hits
    return [row["item"], hit["name"], f"{hit['similarity']:.2f}", "same" if hit["similarity"] >= SAME_FROM else "look"]


products_path, supplied_path, report_path = sys.argv[1:]
index_products(products_path)
with open(supplied_path, newline="") as file, ThreadPoolExecutor(AT_ONCE) as at_once:
    lines = list(at_once.map(reconciled, csv.DictReader(file)))
with open(report_path, "w", newline="") as file:
    csv.writer(file).writerows([["item", "sku", "similarity", "decision"], *lines])
