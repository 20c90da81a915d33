"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from matching.decision import CUTOFFS
from mesh.errors import BY_CODE, MeshError
from tests.running_mesh import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]


def rows(document: str, first_cell: str) -> list[list[str]]:
    """Of the table whose head begins with that cell."""
    _, table = (ROOT / "docs" / document).read_text().split(f"| {first_cell} |", 1)
    lines = table.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


ERRORS = {code: (http, grpc, again) for code, http, grpc, again, _ in rows("errors.md", "code")}


@pytest.mark.parametrize("error", BY_CODE.values(), ids=BY_CODE)
def test_every_error_is_in_the_table_with_its_statuses(error: type[MeshError]) -> None:
    assert ERRORS[error.code] == (str(error.http_status), error.grpc_status, "yes" if error.retryable else "no")


def test_table_of_errors_has_no_others() -> None:
    assert set(ERRORS) == set(BY_CODE)


def test_concepts_have_the_cutoffs_and_the_floors_that_decide() -> None:
    for cutoffs in CUTOFFS.values():
        assert {profile: float(cutoff) for profile, cutoff, _ in rows("concepts.md", "profile")} == cutoffs.profiles
        floors = {label: float(floor) for label, floor in rows("concepts.md", "label")}
        assert floors == {"high": cutoffs.high, "medium": cutoffs.medium, "low": cutoffs.low, "none": 0.0}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]*)(#[^)]*)?\)", document.read_text()):
        assert (document.parent / target[0]).exists(), target
