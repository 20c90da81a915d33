"""How far each edit may go before a copy is no longer found: recall and median score per strength, written to docs/limits.md.

make limits, or: make limits MEDIA=folder; MEDIUM=audio for sounds (benchmarks/sound_limits.py), MEDIUM=video for films
(benchmarks/film_limits.py), which have parts of their own in the file
"""

from __future__ import annotations

import argparse
import statistics
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Final

from benchmarks import film_limits, film_material, material, sound_limits, sound_material
from benchmarks.ladders import LADDERS, Ladder
from benchmarks.material import Material, compare, fingerprint
from image_svc.fingerprint import ALGORITHM, CANONICAL_SIDE, VERSION
from matching.decision import CUTOFFS, is_match
from mesh.media import Fingerprint
from tests.edits import as_file

FILE: Final = Path(__file__).parent.parent / "docs" / "limits.md"
WORDS: Final = f"""# What images are found through, and what not

Written by `make limits`. `make limits MEDIA=folder` measures any folder of images as well, with copies that it makes itself; do that on
what you have, because pictures differ: those with little texture (a logo, a page of text, a clear sky) are lost sooner than these.

Each cell: the strength; **recall**, the share of copies whose score reaches the default decision
({CUTOFFS["image"].profiles["general"]}); their median score.

## Not handled

- **The same thing, not the same picture.** Another photo of the scene, the next frame of a burst, the same product shot again: no match,
  by design.
- **Drawn anew**: style transfer, repainting, tracing. Filters that keep the edges where they are and their direction are looked through
  (see the last row); what redraws every edge, or turns light into dark, is not.
- **Covered up**: a plain patch may hide a quarter of the picture anywhere, or a third of it beside the middle; something that is not plain
  (another picture, text, noise) a fifth. More leaves what two different pictures in one frame would show, and is taken for that. What
  lies round the patch must be finely textured.
- **One more picture over both**: a translucent picture of half the opacity, or an opaque one of a quarter of the area, is as much of
  either as what lies beneath; two that share it may be taken for a match of medium confidence. So may two nearly black ones in one
  interface.
- **Bent**: waves, swirls, faces pulled about. What is searched for is one flat picture seen from somewhere; a bend is found as far as a
  part of it is nearly flat.
- **Blurred past detail** (more than a hundredth of the longer side): a match of medium confidence, and only as a whole, neither cropped
  nor turned.
- **Very little left**: fingerprints are made at {CANONICAL_SIDE} pixels on the longer side, so a copy that takes up a thirtieth of a page
  is some 70 pixels wide there.
- **Nothing to see**: blank pictures, gradients, stripes never match anything but their own bytes.
- **What assets wear alike** (frames, captions, interfaces, logos, stickers) is no match, so a copy that shows hardly more than that is
  not found either.
- **Another background** behind the same subject is found only where the subject is large and finely textured, and never with high
  confidence.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_arguments(parser, pictures=16, sounds=10, films=4)
    parser.add_argument("--output", type=Path, default=FILE)
    arguments = parser.parse_args()
    medium = material.medium(arguments)
    parts = [{"image": WORDS, "audio": sound_limits.WORDS, "video": film_limits.WORDS}[medium]]
    drawn = argparse.Namespace(**{**vars(arguments), "media": None})
    for wanted in [drawn, arguments] if arguments.media else [drawn]:
        if medium == "video":
            films = film_material.chosen(wanted)
            print(f"measuring {films.description}", flush=True)
            parts.append(film_limits.measured(films))
        elif medium == "audio":
            sounds = sound_material.chosen(wanted)
            print(f"measuring {sounds.description}", flush=True)
            parts.append(sound_limits.measured(sounds))
        else:
            pictures = material.chosen(wanted)
            print(f"measuring {pictures.description}", flush=True)
            parts.append(measured(pictures))
    output: Path = arguments.output
    output.parent.mkdir(exist_ok=True)
    known = {**parts_of(output), medium: "\n".join(parts)}
    output.write_text("\n".join(known[each] for each in ("image", "audio", "video") if each in known))
    print(f"wrote {output}")


def parts_of(file: Path) -> dict[str, str]:
    """What the file says of each medium, so that one is measured anew without the others."""
    if not file.exists():
        return {}
    rest, title, films = file.read_text().partition(film_limits.TITLE)
    images, sound_title, sounds = rest.partition(sound_limits.TITLE)
    known = {"image": images, "audio": sound_title + sounds, "video": title + films}
    return {medium: text.rstrip("\n") + "\n" for medium, text in known.items() if text.strip()}


def measured(chosen: Material) -> str:
    """The section on this material."""
    originals = [fingerprint(material.original(picture)) for picture in chosen.pictures]
    strangers = [compare(one, two).score for one, two in combinations(originals, 2)]
    lines = [
        f"## On {chosen.description}",
        "",
        f"{material.today()}, {ALGORITHM} {VERSION}. {len(strangers)} pairs of strangers: "
        f"{sum(is_match('image', score) for score in strangers)} matches, highest score {max(strangers):.3f}.",
        "",
        "| edit | from weak | | | | | to strong |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row(ladder, chosen, originals) for ladder in LADDERS]
    return "\n".join(lines) + "\n"


def row(ladder: Ladder, chosen: Material, originals: list[Fingerprint]) -> str:
    cells = []
    for strength, edit in ladder.steps.items():
        copies = (as_file(edit(picture, Random(f"{ladder.name} {strength} {n}"))) for n, picture in enumerate(chosen.pictures))
        scores = [compare(one, fingerprint(copy)).score for one, copy in zip(originals, copies, strict=True)]
        recall = sum(is_match("image", score) for score in scores) / len(scores)
        cells.append(f"{strength}<br>**{recall:.2f}** {statistics.median(scores):.2f}")
    print(ladder.name, *(cell.replace("<br>", " ") for cell in cells), sep=" | ", flush=True)
    return "| " + " | ".join([ladder.name, *cells, *[""] * (6 - len(cells))]) + " |"


if __name__ == "__main__":
    main()
