"""The table's rows as parameters: the id of each begins with its row's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def rows(table: Mapping[str, Iterable[Any]]) -> list[Any]:
    return [pytest.param(value, id=f"{row} {ascii(value)[:50]}") for row, values in table.items() for value in values]
