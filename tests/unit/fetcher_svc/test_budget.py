from __future__ import annotations

import pytest

from fetcher_svc.budget import Budget
from mesh.errors import Overloaded


def test_what_fits_exactly_is_let_in_and_one_more_is_refused() -> None:
    budget = Budget(3)
    with budget.take(1), budget.take(2), pytest.raises(Overloaded), budget.take(1):
        pass
    with budget.take(3):
        pass


def test_what_is_taken_comes_back_after_an_error() -> None:
    budget = Budget(1)
    for _ in range(3):
        with pytest.raises(KeyError), budget.take():
            raise KeyError
    with budget.take():
        pass


def test_each_holder_has_the_whole_limit() -> None:
    budget = Budget(1)
    with budget.take(holder="a"), budget.take(holder="b"), pytest.raises(Overloaded), budget.take(holder="a"):
        pass


def test_nobody_is_remembered_who_holds_nothing() -> None:
    budget = Budget(1)
    for number in range(100):
        with budget.take(holder=str(number)):
            pass
    assert not budget._taken
