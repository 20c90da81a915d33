"""What is measured on is pictures, sounds or films, as the folder has it; one is measured anew without losing what was found of others."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from audio_svc.decode import SAMPLE_RATE
from benchmarks import film_limits, film_material, film_sizes, material, sound_limits, sound_material
from benchmarks.limits import parts_of
from tests.films import Film
from tests.films import encoded as encoded_film
from tests.pictures import encoded, photo
from tests.sounds import encoded as encoded_sound
from tests.sounds import jingle, music


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    material.add_arguments(parser, pictures=2, sounds=2, films=2)
    return parser.parse_args(words)


@pytest.mark.parametrize(("pictures", "sounds", "medium"), [(2, 1, "image"), (1, 2, "audio"), (0, 0, "image")])
def test_folder_is_measured_as_what_it_holds_more_of(tmp_path: Path, pictures: int, sounds: int, medium: str) -> None:
    for number in range(pictures):
        (tmp_path / f"picture {number}").write_bytes(encoded(photo(number, 64, 48), "PNG"))
    for number in range(sounds):
        (tmp_path / f"sound {number}").write_bytes(encoded_sound(jingle(number), "flac"))
    assert material.medium(asked("--media", str(tmp_path))) == medium


def test_folder_of_films_is_measured_as_films_by_what_knows_them(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"film {number}").write_bytes(encoded_film(Film(number, 1.0, 64, 48)))
    (tmp_path / "picture").write_bytes(encoded(photo(1, 64, 48), "PNG"))
    assert material.medium(asked("--media", str(tmp_path))) == "video"
    parser = argparse.ArgumentParser()
    material.add_arguments(parser, pictures=2, sounds=2)
    assert material.medium(parser.parse_args(["--media", str(tmp_path)])) == "image"


def test_films_of_a_folder_are_read_from_their_beginning_and_short_ones_left_out(tmp_path: Path) -> None:
    for number, seconds in enumerate((14.0, 11.0, 3.0)):
        (tmp_path / f"{number}.avi").write_bytes(encoded_film(Film(number, seconds, 96, 64), "avi-mjpeg"))
    (tmp_path / "notes.txt").write_text("no film")
    arguments = asked("--media", str(tmp_path))
    arguments.films = 9
    films = film_material.chosen(arguments).films
    assert sorted(film.seconds for film in films) == pytest.approx([11.0, film_material.SECONDS], abs=0.1)
    assert all(film.picture(film.seconds).shape == (64, 96, 3) for film in films)


def test_smaller_fingerprints_of_films_are_made_and_compared_within_their_budget() -> None:
    recorded = film_material.original(Film(1, 3.0, 160, 120, scene_seconds=1.0))
    whole = film_material.fingerprint(recorded)
    budget = film_sizes.Budget("small", features=8, seconds=1.0, side=32)
    with film_sizes.spending(budget):
        small = budget.spent_on(recorded)
        assert film_material.compare(small, small) == pytest.approx(1.0, abs=0.03)
    assert all(len(small[level]) < len(whole[level]) / 2 for level in whole)
    assert film_material.fingerprint(recorded) == whole


def test_what_is_asked_for_goes_before_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(encoded_sound(jingle(1), "flac"))
    assert material.medium(asked("--media", str(tmp_path), "--medium", "image")) == "image"
    assert material.medium(asked("--medium", "audio")) == "audio"


def test_sounds_of_a_folder_are_read_from_their_middle_and_short_ones_left_out(tmp_path: Path) -> None:
    for number, seconds in enumerate((30.0, 12.0, 3.0)):
        (tmp_path / f"{number}.flac").write_bytes(encoded_sound(music(number, seconds), "flac"))
    (tmp_path / "notes.txt").write_text("no sound")
    arguments = asked("--media", str(tmp_path))
    arguments.sounds = 9
    lengths = sorted(len(sound) / SAMPLE_RATE for sound in sound_material.chosen(arguments).sounds)
    assert lengths == pytest.approx([12.0, sound_material.SECONDS], abs=0.01)


def test_every_copy_is_a_sound_that_differs_from_its_original() -> None:
    original = music(3, 12.0)
    for _, name, copy in sound_material.copies(original, 0):
        assert np.isfinite(copy).all(), name
        assert len(copy) != len(original) or not np.array_equal(copy, original) or name == "flac", name


def test_parts_of_the_limits_are_kept_apart(tmp_path: Path) -> None:
    file = tmp_path / "limits.md"
    assert parts_of(file) == {}
    file.write_text("# Images\n\nfound\n")
    assert parts_of(file) == {"image": "# Images\n\nfound\n"}
    file.write_text(f"# Images\n\nfound\n\n{sound_limits.WORDS}")
    assert parts_of(file) == {"image": "# Images\n\nfound\n", "audio": sound_limits.WORDS}
    file.write_text(sound_limits.WORDS)
    assert parts_of(file) == {"audio": sound_limits.WORDS}
    file.write_text(f"# Images\n\nfound\n\n{film_limits.WORDS}")
    assert parts_of(file) == {"image": "# Images\n\nfound\n", "video": film_limits.WORDS}
