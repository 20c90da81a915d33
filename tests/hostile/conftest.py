"""One namespace, one Internet and one mesh for all of the table."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from tests import films
from tests.collector import Collector
from tests.hostile import oracle
from tests.hostile.namespace import Namespace, NoNamespace
from tests.hostile.world import METRICS_PORTS, SEARCH_DOMAIN, ConfinedMesh, Internet, World
from tests.pictures import encoded, photo
from tests.recordings import recorded
from tests.sounds import RATE, music

PROXY = "http://127.0.0.1:3128"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The environment names a proxy and a .netrc throughout: nothing may ever heed them."""
    folder = tmp_path_factory.mktemp("world")
    (folder / ".netrc").write_text("machine www.example.com login canary password canary\n")
    try:
        namespace = Namespace(folder, SEARCH_DOMAIN).__enter__()
    except NoNamespace as problem:
        pytest.skip(f"no namespaces here, so the unchanged policy cannot be tried: {problem}")
    with namespace, Internet(namespace, folder) as internet, Collector(folder) as collector:
        environment = {
            **{f"{name}_METRICS_PORT": str(port) for name, port in METRICS_PORTS.items()},
            **{name: PROXY for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper())},
            "no_proxy": "",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "HOME": str(folder),
            "SSL_CERT_FILE": internet.authority_file,
        }
        picture = photo(1)
        photo_url = internet.serve("/photo.jpg", encoded(picture, "JPEG"))
        copy_url = internet.serve("/copy.webp", encoded(cv2.resize(picture, (500, 375)).astype("uint8"), "WEBP"))
        sound_url = internet.serve("/sound.mp3", recorded(music(1, 10.0), "mp3", rate=RATE))
        film_url = internet.serve("/film.mp4", films.encoded(films.Film(1, 5.0), sound=1))
        with ConfinedMesh(namespace, folder, **environment) as mesh:
            # Their fingerprints are known from here on, so what a worker does later, it does for the file of a test.
            assert mesh.match(photo_url, copy_url).status == 200
            assert mesh.match(sound_url, sound_url, "audio").status == 200
            assert mesh.match(film_url, film_url, "video").status == 200
            yield World(namespace, internet, mesh, collector, photo_url, copy_url, sound_url, film_url)
        assert all(map(oracle.is_public_text, internet.dialled))
        surprises = [line for line in mesh.log.splitlines() if '"level": "error"' in line or "Traceback" in line]
        # What uvloop itself says, now and then, of a TLS connection that is given up while it is made.
        surprises = [line for line in surprises if "Fatal error on SSL protocol" not in line]
        assert not surprises, surprises[:3]
