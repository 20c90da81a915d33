"""Writes the record anew, for a new VERSION: python -m tests.accuracy.golden"""

from __future__ import annotations

import json
import sys

from tests.accuracy.golden import RECORD, measured, recorded


def main() -> None:
    fresh = measured()
    if RECORD.exists() and recorded()["version"] == fresh["version"] and recorded() != fresh:
        sys.exit("The algorithm has changed: raise VERSION in image_svc/fingerprint.py first. (Before a first release: delete the record.)")
    RECORD.write_text(json.dumps(fresh, indent=2) + "\n")


if __name__ == "__main__":
    main()
