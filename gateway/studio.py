"""`python -m gateway.studio`: a cutoff from scores of one's own, or from pairs that the running mesh compares, as /studio does."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.analyst import PROFILES, analysis_of
from gateway.pair_list import Pair, PairError, read_pairs, written
from gateway.studio_client import StudioClient
from gateway.studio_picture import picture
from gateway.threshold_schemas import AnalysisBody
from matching.thresholds.analysis import MAX_COST, MIN_COST, Note, Wanted
from matching.thresholds.lanes import Policy
from mesh.errors import MeshError
from mesh.media import MediaType

_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_COLUMNS: Final = 40
_NOTES: Final = {
    Note.FEW_COPIES: "fewer than 30 copies: a first guess",
    Note.FEW_OTHERS: "fewer than 30 pairs that are no copies: a first guess",
    Note.NOT_SEPARATED: "these scores do not tell copies from others: are the labels right?",
    Note.FLAGS_ALL: "at these costs it is cheapest to call everything a match",
    Note.FLAGS_NONE: "at these costs it is cheapest to call nothing a match",
    Note.WIDE: "the interval is wide: with more pairs the cutoff may move a good deal",
}


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except (MeshError, PairError) as problem:
        sys.exit(f"studio: {problem}")
    except OSError as problem:
        sys.exit(f"studio: {problem.filename or options.url}: {problem.strerror or problem}")


async def _run(options: argparse.Namespace) -> None:
    text = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    async with StudioClient(options.url, os.environ.get("MEDIAMESH_API_KEY", "")) as client:
        pairs = read_pairs(text, options.type)
        if pairs is not None:
            text = await _score(client, pairs, options)
        policy = Policy.of(dict(options.lane), options.otherwise) if options.lane else None
        found = analysis_of(text, Wanted(options.cost, options.prevalence, PROFILES), policy)
        print(msgspec.json.format(msgspec.json.encode(found)).decode() if options.json else _report(found))
        if options.picture:
            Path(options.picture).write_text(picture(found))
        if options.save:
            await _save(client, found, options)


async def _score(client: StudioClient, pairs: list[Pair], options: argparse.Namespace) -> bytes:
    """The pairs' scores as CSV; those that failed are named, and left out."""

    def show(done: int) -> None:
        if sys.stderr.isatty() or done == len(pairs):
            print(f"\rcompared {done} of {len(pairs)}", end="\n" if done == len(pairs) else "", file=sys.stderr, flush=True)

    scored = await client.score(pairs, options.at_once, show)
    for pair, problem in scored.failed:
        print(f"line {pair.line}: {problem}", file=sys.stderr)
    text = written(scored.scores)
    if options.scores:
        Path(options.scores).write_bytes(text)
    return text


async def _save(client: StudioClient, found: AnalysisBody, options: argparse.Namespace) -> None:
    if found.recommendation is None:
        raise PairError("there is no cutoff to be saved")
    media = [MediaType(options.type)] if options.type else list(MediaType)
    await client.save(options.save, {medium.value: found.recommendation.cutoff for medium in media})
    print(f'saved as the profile "{options.save}" for {", ".join(media)}', file=sys.stderr)


def _report(found: AnalysisBody) -> str:
    said = [_histogram(found), ""]
    said += [f"line {error.line}: {error.message}" for error in found.errors[:10]]
    if found.refused > len(found.errors[:10]):
        said.append(f"and {found.refused - len(found.errors[:10])} more rows that could not be read")
    if found.curves is not None:
        low, high = found.curves.roc_area_interval
        said += [f"area under the ROC curve {found.curves.roc_area:.4f} (95 %: {low:g} to {high:g})"]
        said += [f"average precision {found.curves.average_precision:.4f}", "", _points(found), ""]
    if found.lanes:
        said += [f"{lane}: {count}" for lane, count in found.lanes.items()] + [""]
    if found.recommendation is None:
        reason = found.no_recommendation.message if found.no_recommendation else ""
        return "\n".join([*said, f"no cutoff can be recommended: {reason}"])
    best = found.recommendation
    said.append(f"cutoff {best.cutoff:g} (95 %, bootstrap: {best.interval[0]:g} to {best.interval[1]:g}), by {best.method}")
    said.append(f"the same to this set: {best.same[0]:g} to {best.same[1]:g}")
    return "\n".join([*said, *(f"note: {_NOTES[note]}" for note in best.notes)])


def _histogram(found: AnalysisBody) -> str:
    """Two bars to a line: square roots of counts, so that rare scores are seen."""
    pairs = list(zip(found.histogram[::2], found.histogram[1::2], strict=True))
    counts = [[one.copies + two.copies, one.others + two.others, one.unlabelled + two.unlabelled] for one, two in pairs]
    most = max(1.0, *(max(row) ** 0.5 for row in counts))
    lines = ["score      c: copies, o: others, u: unlabelled (lengths: square roots)"]
    for (one, two), row in zip(pairs, counts, strict=True):
        bars = "  ".join(
            f"{letter * max(1, round(count**0.5 / most * _COLUMNS))} {count}" for letter, count in zip("cou", row, strict=True) if count
        )
        lines.append(f"{one.start:.2f}-{two.end:.2f}  {bars}".rstrip())
    return "\n".join(lines)


def _points(found: AnalysisBody) -> str:
    lines = [f"{'cutoff':22}{'recall (95 %, exact)':>26}{'false positives (95 %, exact)':>34}{'precision':>11}{'cost':>10}"]
    for point in found.points:
        recall = f"{point.recall:.1%} ({point.recall_interval[0]:.1%} to {point.recall_interval[1]:.1%})"
        wrong = f"{point.false_positive_rate:.2%} ({point.false_positive_interval[0]:.2%} to {point.false_positive_interval[1]:.2%})"
        precision = "-" if point.precision is None else f"{point.precision:.1%}"
        lines.append(f"{point.name:14}{point.cutoff:8.4f}{recall:>26}{wrong:>34}{precision:>11}{point.cost:>10.4g}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway.studio", description=__doc__)
    parser.add_argument("file", help="a CSV: score[,label], or source,target[,label][,type] by a header; -: standard input")
    parser.add_argument("--cost", type=_from_to(MIN_COST, MAX_COST), default=1.0, help="of a false positive, where a miss costs 1")
    parser.add_argument(
        "--prevalence", type=_from_to(1e-9, 1 - 1e-9), help="the share of copies among pairs in earnest; default: as in the set"
    )
    parser.add_argument("--url", default=_DEFAULT_URL, help=f"of the mesh, for pairs and --save; default: {_DEFAULT_URL}")
    parser.add_argument(
        "--type", choices=list(MediaType), default="", help="of pairs that do not say (image), and what --save is for (all)"
    )
    parser.add_argument("--at-once", type=int, default=3, choices=range(1, 17), metavar="N", help="pairs that are compared at once")
    parser.add_argument("--scores", metavar="FILE", help="write the scores of pairs here, as CSV")
    parser.add_argument("--picture", metavar="FILE", help="draw histogram and curves here, as SVG")
    parser.add_argument(
        "--lane", type=_lane, action="append", metavar="NAME=SCORE", help="count lanes, such as --lane auto_block=0.95 --lane review=0.7"
    )
    parser.add_argument("--otherwise", default="pass", help="the lane of the rest")
    parser.add_argument(
        "--save",
        metavar="NAME",
        help="save the cutoff as a profile, `default` as the project's own; with the key MEDIAMESH_API_KEY",
    )
    parser.add_argument("--json", action="store_true", help="print what POST /thresholds/analyse answers")
    return parser


def _from_to(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"from {low:g} to {high:g}")
        return value

    return read


def _lane(text: str) -> tuple[str, float]:
    name, _, score = text.partition("=")
    return name, float(score)


if __name__ == "__main__":
    main()
