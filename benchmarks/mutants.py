"""Mutated files, bodies and messages by the hundred thousand, over every decoder (in its sandboxed worker) and every parser.

Prints what became of them, and what should not have happened, by the number of the mutant: --from NUMBER --count 1 does it again.
python -m benchmarks.mutants --of image audio --count 50000
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from tests.ordeal import READ, Toll, undergo
from tests.readers import SUBJECTS, subject

SHOWN_FINDINGS = 20
SHOW_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--from", dest="first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--count", type=int, default=1000, help="of each")
    arguments = parser.parse_args()
    print("| of | mutants | read | refused, by code | workers ended | slowest | mean | largest process | findings |")
    print("|---|---|---|---|---|---|---|---|---|")
    tolls = []
    for name in arguments.of:
        progress = _Progress(arguments.count)
        toll = asyncio.run(undergo(subject(name), range(arguments.first, arguments.first + arguments.count), progress.show))
        show(toll)
        tolls.append(toll)
    print(f"{sum(toll.tried for toll in tolls):,} mutants, {sum(len(toll.findings) for toll in tolls)} findings")
    sys.exit(any(toll.findings for toll in tolls))


def show(toll: Toll) -> None:
    codes = ", ".join(f"{code} {count:,}" for code, count in toll.said.most_common() if code != READ)
    print(
        f"| {toll.name} | {toll.tried:,} | {toll.said[READ]:,} | {codes} | {toll.ended_workers} | {toll.slowest_seconds:.2f} s"
        f" | {1000 * toll.spent_seconds / toll.tried:.2f} ms | {toll.peak_bytes >> 20} MB | {len(toll.findings)} |"
    )
    for number, finding in toll.findings[:SHOWN_FINDINGS]:
        print(f"  {toll.name} {number}: {finding}")
    sys.stdout.flush()


class _Progress:
    def __init__(self, count: int) -> None:
        self._count, self._next = count, time.monotonic() + SHOW_SECONDS

    def show(self, toll: Toll) -> None:
        if time.monotonic() >= self._next:
            self._next += SHOW_SECONDS
            print(f"{toll.name}: {toll.tried:,} of {self._count:,}, {len(toll.findings)} findings", file=sys.stderr)


if __name__ == "__main__":
    main()
