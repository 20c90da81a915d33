"""Rows Z01 to Z06: files of rows and archives that mean harm, on a whole mesh. The others in them go on, and all is reported."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.archives import BZIP2, ENCRYPTED, LINK, UTF8, Member, chained, manifest_of, overlapping, zipped
from tests.bulk import csv_job, outcomes, rows_of, send_csv, zip_job
from tests.hostile.processes import PeakMemory
from tests.hostile.rows import rows
from tests.index_client import Project, new_project
from tests.origin import Origin
from tests.pictures import encoded, photo
from tests.running_mesh import RunningMesh

PICTURE = encoded(photo(900, 320, 240), "JPEG")
NOISE = random.Random(3).randbytes(50_000)


@pytest.fixture(scope="module")
def project(mesh: RunningMesh) -> Project:
    return new_project(mesh)


@pytest.fixture
def index_process(mesh: RunningMesh) -> psutil.Process:
    return next(child for child in psutil.Process(mesh.process.pid).children() if child.cmdline()[-1:] == ["index_svc"])


@pytest.fixture(autouse=True)
def unharmed(mesh: RunningMesh, index_process: psutil.Process) -> Iterator[None]:
    """Whatever an archive holds: no file is written, nothing is logged as uncaught, the service lives and does not swell."""
    before = set(Path(mesh.data_dir).rglob("*.jpg")) | set(Path("/tmp").glob("x*.jpg"))
    faults = mesh.log.count("uncaught") + mesh.log.count("failed in its worker")
    with PeakMemory(index_process) as peak:
        yield
    assert set(Path(mesh.data_dir).rglob("*.jpg")) | set(Path("/tmp").glob("x*.jpg")) == before
    assert mesh.log.count("uncaught") + mesh.log.count("failed in its worker") == faults
    assert index_process.is_running()
    assert peak.growth_bytes < 150 << 20


def served(origin: Origin, content: bytes) -> str:
    return origin.serve(f"archive-{len(origin.requests)}-{len(content)}.zip", content)


def archive_with(*members: Member) -> bytes:
    """One good picture beside these, all of them listed."""
    names = [member.raw_name.decode(errors="replace") for member in members]
    listed = ['"' + name.replace('"', '""') + '",image,n' for name in names if "\0" not in name]
    return zipped(Member("manifest.csv", manifest_of(["good.jpg,image,good", *listed])), Member("good.jpg", PICTURE), *members)


MANIFEST = manifest_of(["0.jpg,image,n", "1.jpg,image,n"])
WHOLE = {
    "Z01": (overlapping(1000, NOISE, MANIFEST), chained(40, NOISE, MANIFEST)),
    "Z03": (zipped(Member("manifest.csv", MANIFEST), *(Member(f"{number}", b"") for number in range(20_000))),),
    "Z04": (zipped(Member("good.jpg", PICTURE)), zipped(Member("manifest.csv", b"file,file,media_type\n"), Member("good.jpg", PICTURE))),
    "Z00": (b"PK\x03\x04" + NOISE, PICTURE, b"", zipped(Member("manifest.csv", MANIFEST))[:-9]),
}


@pytest.mark.parametrize("content", rows(WHOLE))
def test_archive_that_lies_about_itself_fails_as_a_whole_with_a_code(project: Project, origin: Origin, content: bytes) -> None:
    job = zip_job(project, served(origin, content))
    assert (job["status"], job["progress"]["total"], job["asset_id"]) == ("failed", 0, None)
    assert job["error"]["code"] in ("unsupported_media", "file_too_large", "invalid_request")
    assert rows_of(project, job["id"]) == []


ONE = {
    "Z01": [Member("b.jpg", bytes(14 << 20)), Member("b.jpg", PICTURE, packed=b"\0" * 10), Member("b.jpg", PICTURE, crc32=7)],
    "Z02": [
        *(Member(name, PICTURE) for name in ("../../x.jpg", "/tmp/x.jpg", "C:\\x.jpg", "a\\..\\b.jpg", "a/../../../tmp/x1.jpg")),
        Member("x.jpg", b"/etc/passwd", attributes=LINK),
    ],
    "Z03": [
        Member("nested.jpg", zipped(Member("manifest.csv", MANIFEST), Member("0.jpg", PICTURE))),
        Member("secret.jpg", PICTURE, flags=UTF8 | ENCRYPTED),
        Member("b.jpg", PICTURE, method=BZIP2),
        Member("text.jpg", b"no picture"),
        Member("empty.jpg", b""),
        Member("large.jpg", random.Random(4).randbytes((15 << 20) + 1)),
    ],
}


@pytest.mark.parametrize("member", rows(ONE))
def test_bad_file_costs_itself_alone(project: Project, origin: Origin, member: Member) -> None:
    job = zip_job(project, served(origin, archive_with(member)))
    found = outcomes(project, job["id"])
    assert found[0] == (2, "good.jpg", "ready")
    assert [(line, file) for line, file, _ in found[1:]] == [(3, member.raw_name.decode())]
    assert found[1][2] in ("invalid_request", "unsupported_media", "file_too_large")
    assert job["progress"] == {"total": 2, "pending": 0, "processing": 0, "ready": 1, "failed": 1}


def test_z03_names_that_are_one_are_refused_and_the_others_go_on(project: Project, origin: Origin) -> None:
    job = zip_job(project, served(origin, archive_with(Member("a.jpg", PICTURE), Member("A.jpg", PICTURE))))
    assert outcomes(project, job["id"]) == [(2, "good.jpg", "ready"), (3, "a.jpg", "conflict"), (4, "A.jpg", "conflict")]


def test_z04_rows_without_files_and_files_without_rows_are_all_reported(project: Project, origin: Origin) -> None:
    manifest = manifest_of(["missing.jpg,image,m", "good.jpg,image,g", "good.jpg,image,again", ",image,", "good.jpg,colour,"])
    content = zipped(Member("manifest.csv", manifest), Member("good.jpg", PICTURE), Member("extra.jpg", PICTURE), Member("README", b"r"))
    job = zip_job(project, served(origin, content))
    assert outcomes(project, job["id"]) == [
        (2, "missing.jpg", "not_found"),
        (3, "good.jpg", "ready"),
        (4, "good.jpg", "conflict"),
        (5, None, "invalid_request"),
        (6, "good.jpg", "invalid_request"),
        (None, "extra.jpg", "invalid_request"),
        (None, "README", "invalid_request"),
    ]
    assert job["progress"] == {"total": 7, "pending": 0, "processing": 0, "ready": 1, "failed": 6}
    assert project.request("GET", f"/v1/jobs/{job['id']}/rows?status=ready").json["rows"][0]["file"] == "good.jpg"


@pytest.mark.parametrize(
    "content",
    rows(
        {
            "Z05": [
                "url,media_type\n".encode("utf-16"),
                "url,media_type\n".encode("utf-16-le"),
                b"url,media_type,url\n1,image,2\n",
                b'"url,media_type\n',
                b"",
                b"url,media_type\n",
            ]
        }
    ),
)
def test_file_of_rows_that_is_none_is_refused_at_once(project: Project, content: bytes) -> None:
    answer = send_csv(project, content)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_z05_bad_rows_cost_themselves_alone(project: Project, origin: Origin) -> None:
    url = origin.serve("z05.jpg", PICTURE).encode()
    bad = [b"%s,image,a\0b", b"%s,image," + b"n" * 200_000, b'%s,image,"open', b"%s,image,\xff", b'%s,image,n,"{""a"": 1}"']
    content = b"\xef\xbb\xbfurl,media_type,name\r\n" + b"".join(row.replace(b"%s", url) + b"\r\n" + url + b",image,n\r\n" for row in bad)
    job = csv_job(project, content)
    assert [(line, outcome) for line, _, outcome in outcomes(project, job["id"])] == [
        (2 + number, "ready" if number % 2 else "invalid_request") for number in range(2 * len(bad))
    ]


def test_z06_formula_is_kept_as_it_stands_and_is_text_where_it_is_exported(project: Project, origin: Origin) -> None:
    url = origin.serve("z06.jpg", PICTURE)
    formulas = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "plain"]
    file = io.StringIO()
    csv.writer(file).writerows([["url", "media_type", "name"], *([url, "image", name] for name in formulas)])
    job = csv_job(project, file.getvalue().encode())
    assert [row["name"] for row in rows_of(project, job["id"])] == formulas
    headers = {"Authorization": f"Bearer {project.key}", "Accept": "text/csv"}
    exported: list[dict[str, Any]] = list(
        csv.DictReader(io.StringIO(project.mesh.request("GET", f"/v1/jobs/{job['id']}/rows?limit=2", headers=headers).body.decode()))
    )
    assert [row["name"] for row in exported] == [*(f"'{formula}" for formula in formulas[:4]), "plain"]
    assert {row["status"] for row in exported} == {"ready"}
