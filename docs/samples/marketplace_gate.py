"""One search for each new listing: marketplace_gate.py SELLER PHOTO_URL prints auto-block, review or pass.

What passes joins the library, so that the next seller who uses the photo is found.
`marketplace_gate.py --ban PHOTO_URL` adds one that nobody may use.
"""

import sys

from library import Library

AUTO_BLOCK_FROM = 0.97  # nearly the same photo
REVIEW_FROM = 0.85  # a near-duplicate: for someone to look at

library = Library()


def gate(seller: str, photo_url: str) -> str:
    hits = library.search("image", photo_url, threshold=REVIEW_FROM, collections=["banned", "listings"], limit=20)
    # A seller may list a photo of theirs again.
    strangers = [hit for hit in hits if hit["collection"] == "banned" or hit["metadata"].get("seller") != seller]
    if not strangers:
        add(photo_url, "listings", {"seller": seller})
        return "pass"
    best = strangers[0]
    lane = "auto-block" if best["similarity"] >= AUTO_BLOCK_FROM else "review"
    return f"{lane}: {best['similarity']:.2f} like {best['name']} in {best['collection']}"


def add(photo_url: str, collection: str, metadata: dict) -> None:
    asset_id = library.index("image", photo_url, name=photo_url, collection=collection, metadata=metadata)
    asset = library.until_done(asset_id)
    if asset["status"] == "failed":
        sys.exit(f"{photo_url} could not be added: {asset['error']['message']}")


first, url = sys.argv[1:]
if first == "--ban":
    add(url, "banned", {})
else:
    print(gate(first, url))
