"""Films in a library of one's own: found by a clip and by a still, with the score that the pair endpoint gives."""

from __future__ import annotations

import pytest

from tests.films import Cut, Film, Montage, encoded
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded as picture_file
from tests.running_mesh import RunningMesh

FILM = Film(31, 16.0)


@pytest.fixture(scope="module")
def film_url(origin: Origin) -> str:
    return origin.serve("indexed.mp4", encoded(FILM))


@pytest.fixture(scope="module")
def project(mesh: RunningMesh, origin: Origin, film_url: str) -> Project:
    """With four films, of which the first is FILM."""
    project = new_project(mesh)
    project.index(film_url, "video", name="film")
    for seed in (32, 33, 34):
        project.index(origin.serve(f"indexed-{seed}.mp4", encoded(Film(seed, 8.0))), "video", name=f"film {seed}")
    return project


def test_film_is_found_by_a_clip_with_the_score_of_the_pair_endpoint(project: Project, origin: Origin, film_url: str) -> None:
    clip_url = origin.serve("searched.webm", encoded(Montage((Cut(FILM, 4.0, 6.0),)), "webm"))
    (hit,) = project.search(clip_url, "video")
    pair = project.mesh.match(clip_url, film_url, "video").json
    assert (hit["name"], hit["media_type"], hit["similarity"]) == ("film", "video", pair["similarity_score"])
    assert hit["matched_segments"] == pair["matched_segments"]
    assert hit["matched_segments"][0]["target_start"] == pytest.approx(4.0, abs=0.5)
    assert hit["coverage"] > 0.9


def test_film_is_found_by_a_still_with_its_moment(project: Project, origin: Origin) -> None:
    still_url = origin.serve("searched.png", picture_file(FILM.picture(9.0), "PNG"))
    (hit,) = project.search(still_url, "video")
    assert hit["name"] == "film"
    (segment,) = hit["matched_segments"]
    assert segment["target_start"] - 0.25 <= 9.0 <= segment["target_end"] + 0.25
