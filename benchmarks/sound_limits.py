"""How far edits of sounds may go before a copy is no longer found: recall and median score per strength, for docs/limits.md.

make limits MEDIUM=audio, or: make limits MEDIUM=audio MEDIA=folder
"""

from __future__ import annotations

import statistics
from itertools import combinations
from random import Random
from typing import Final

from audio_svc.fingerprint import ALGORITHM, VERSION
from benchmarks import material
from benchmarks.sound_ladders import LADDERS, SoundLadder
from benchmarks.sound_material import SECONDS, SoundMaterial, compare, fingerprint
from matching.decision import CUTOFFS, is_match

TITLE: Final = "# What sounds are found through, and what not"
WORDS: Final = f"""{TITLE}

Written by `make limits MEDIUM=audio`, with `MEDIA=folder` on any folder of sounds as well. Every sound is {SECONDS:g} s long.

Each cell: the strength; **recall**, the share of copies whose score reaches the default decision
({CUTOFFS["audio"].profiles["general"]}); their median score.

## Not handled

- **The same piece, not the same recording.** Another performance, a cover, the same text read again: no match, by design.
- **A small part of both**: what is scored is the share of the side that is better covered, so a clip is found in a longer sound,
  but two programmes that have a jingle in common are no match (see the row on the share in common).
- **One bed under both**: two sounds over the very same noise or beat, 10 to 12 dB softer from end to end, may be taken for a match: a copy
  is found under a voice as loud as that, and the bed is the same recording. `make calibrate MEDIUM=audio` counts such pairs as strangers.
- **Nothing to hear**: silence, a steady tone, hum never match anything but their own bytes.
"""


def measured(chosen: SoundMaterial) -> str:
    """The section on this material."""
    originals = [fingerprint(sound) for sound in chosen.sounds]
    strangers = [compare(one, two) for one, two in combinations(originals, 2)]
    lines = [
        f"## On {chosen.description}",
        "",
        f"{material.today()}, {ALGORITHM} {VERSION}. {len(strangers)} pairs of strangers: "
        f"{sum(is_match('audio', score) for score in strangers)} matches, highest score {max(strangers):.3f}.",
        "",
        "| edit | from weak | | | | | to strong |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row(ladder, chosen, originals) for ladder in LADDERS]
    return "\n".join(lines) + "\n"


def row(ladder: SoundLadder, chosen: SoundMaterial, originals: list[bytes]) -> str:
    cells = []
    for strength, edit in ladder.steps.items():
        copies = (edit(sound, Random(f"{ladder.name} {strength} {n}")) for n, sound in enumerate(chosen.sounds))
        scores = [compare(one, fingerprint(copy)) for one, copy in zip(originals, copies, strict=True)]
        recall = sum(is_match("audio", score) for score in scores) / len(scores)
        cells.append(f"{strength}<br>**{recall:.2f}** {statistics.median(scores):.2f}")
    print(ladder.name, *(cell.replace("<br>", " ") for cell in cells), sep=" | ", flush=True)
    return "| " + " | ".join([ladder.name, *cells, *[""] * (6 - len(cells))]) + " |"
