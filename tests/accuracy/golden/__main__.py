"""Writes the record anew, for a new VERSION: python -m tests.accuracy.golden"""

from __future__ import annotations

import json
import sys

from tests.accuracy.golden import RECORD, measured, recorded


def main() -> None:
    fresh = measured()
    known = recorded() if RECORD.exists() else {}
    for medium in ("image", "audio", "video"):
        before, now = known.get(medium), fresh[medium]
        if before and before["version"] == now["version"] and before != now:
            sys.exit(
                f"The algorithm has changed: raise VERSION in {medium}_svc/fingerprint first. (Before a first release: delete the record.)"
            )
    RECORD.write_text(json.dumps(fresh, indent=2) + "\n")


if __name__ == "__main__":
    main()
