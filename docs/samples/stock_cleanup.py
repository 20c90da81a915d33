"""Take in each picture once: stock_cleanup.py URL... says of each whether it is kept, or of which one it is a duplicate.

The mesh looks before it indexes (on_duplicate=skip), and of copies that come at the same time it keeps one.
"""

import sys

from library import Library

library = Library()
names: dict[str, str] = {}

pending = [library.index("image", url, name=url, collection="stock", on_duplicate="skip") for url in sys.argv[1:]]
for url, asset_id in zip(sys.argv[1:], pending, strict=True):
    asset = library.until_done(asset_id)
    if asset["status"] == "ready":
        print(f"{url} kept")
    elif asset["error"]["code"] == "duplicate":
        original = library.ask("GET", f"/v1/assets/{asset['duplicate_of']}")
        print(f"{url} duplicate of {original['name']}")
    else:
        print(f"{url} failed: {asset['error']['message']}")
