"""How many requests the gateway sends a matcher at once, and whose."""

from __future__ import annotations

import math
from contextlib import ExitStack

import pytest

from gateway.turnstile import SHARING_SECONDS, Turnstile
from mesh.errors import FetchFailed, NotAvailable, Overloaded


def refused_at(turnstile: Turnstile, under_way: int, caller: str = "one") -> None:
    """The matcher refuses one more than these."""
    with ExitStack() as stack:
        for _ in range(under_way):
            stack.enter_context(turnstile.pass_through(caller))
        with pytest.raises(Overloaded), turnstile.pass_through(caller):
            raise Overloaded


def hold(stack: ExitStack, turnstile: Turnstile, caller: str, count: int) -> int:
    """How many of so many requests of theirs come in, and stay."""
    for number in range(count):
        try:
            stack.enter_context(turnstile.pass_through(caller))
        except Overloaded:
            return number
    return count


def test_nothing_is_refused_before_the_matcher_has_refused_something() -> None:
    turnstile = Turnstile()
    with ExitStack() as stack:
        assert hold(stack, turnstile, "one", 1000) == 1000
    assert turnstile.borne == math.inf


def test_what_a_matcher_refused_once_is_refused_here_from_then_on() -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 8)
    with ExitStack() as stack:
        assert hold(stack, turnstile, "one", 20) == 8


def test_burst_of_refusals_leaves_as_many_as_were_borne() -> None:
    turnstile = Turnstile()
    with ExitStack() as borne:
        hold(borne, turnstile, "one", 8)
        burst = [ExitStack() for _ in range(30)]
        for each in burst:
            each.enter_context(turnstile.pass_through("one"))
        for each in burst:
            with pytest.raises(Overloaded), each:
                raise Overloaded
        assert turnstile.borne == 8


def test_answers_while_it_is_full_let_one_more_in_after_a_while() -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 4)
    with ExitStack() as stack:
        hold(stack, turnstile, "one", 3)
        for _ in range(5):
            with turnstile.pass_through("one"):
                pass
        assert turnstile.borne > 5
        assert hold(stack, turnstile, "one", 20) == 2


def test_answers_while_there_is_room_say_nothing_about_how_much_is_borne() -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 4)
    before = turnstile.borne
    for _ in range(100):
        with turnstile.pass_through("one"):
            pass
    assert turnstile.borne == before


@pytest.mark.parametrize(("error", "is_more_borne"), [(FetchFailed(), True), (NotAvailable(), False)])
def test_refused_media_are_an_answer_too_and_a_missing_matcher_is_none(error: Exception, is_more_borne: bool) -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 0)
    with pytest.raises(type(error)), turnstile.pass_through("one"):
        raise error
    assert (turnstile.borne > 1) == is_more_borne


def test_one_is_always_let_in_however_often_the_matcher_refused() -> None:
    turnstile = Turnstile()
    for _ in range(3):
        refused_at(turnstile, 0)
    with ExitStack() as stack:
        assert hold(stack, turnstile, "one", 3) == 1


def test_caller_who_is_alone_may_have_it_all() -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 8)
    with ExitStack() as stack:
        assert hold(stack, turnstile, "one", 20) == 8


def test_last_quarter_is_for_those_who_have_less_than_their_share() -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 8, "modest")
    with ExitStack() as stack:
        assert hold(stack, turnstile, "modest", 1) == 1
        assert hold(stack, turnstile, "greedy", 20) == 5
        assert hold(stack, turnstile, "modest", 20) == 2
        assert hold(stack, turnstile, "new", 20) == 0


def test_caller_who_asked_lately_finds_room_however_long_another_holds_theirs() -> None:
    now = 0.0
    turnstile = Turnstile(lambda: now)
    refused_at(turnstile, 8, "honest")
    with ExitStack() as stack:
        assert hold(stack, turnstile, "dawdler", 20) == 6
        assert hold(stack, turnstile, "honest", 20) == 2
    now = SHARING_SECONDS + 1
    with ExitStack() as stack:
        # Nobody else has asked for so long.
        assert hold(stack, turnstile, "dawdler", 20) == 8


def test_each_of_more_callers_than_can_be_borne_may_have_one() -> None:
    turnstile = Turnstile()
    refused_at(turnstile, 4, "0")
    with ExitStack() as stack:
        assert [hold(stack, turnstile, f"{number}", 3) for number in range(6)] == [3, 1, 0, 0, 0, 0]
