"""The form of API keys."""

from __future__ import annotations

import pytest

from index_svc.keys import KEY, PREFIX, digest, is_same, key_id, make_key, shown_prefix


def test_new_key_has_the_published_form_and_carries_its_id() -> None:
    key = make_key()
    assert KEY.fullmatch(key.text)
    assert key.text.startswith(PREFIX + key.id)
    assert key_id(key.text) == key.id


def test_keys_are_never_the_same() -> None:
    assert len({make_key().text for _ in range(1000)}) == 1000


_KEY = "mm_live_cNZ4MnBA0qQU6hqL7HGKU22vtGv5sesxMyAFen5zGIRh3e80td"
"""One that was made once."""


@pytest.mark.parametrize("at", [8, 25, 57])
def test_mistyped_key_is_none(at: int) -> None:
    text = make_key().text
    assert key_id(text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]) is None


@pytest.mark.parametrize("text", ["", "mm_live_", "ключ", "mm_live_" + "٣" * 50, "x" * 58, _KEY + "\n", " " + _KEY])
def test_anything_else_is_none(text: str) -> None:
    assert key_id(text) is None


def test_shown_prefix_does_not_hold_the_secret() -> None:
    key = make_key()
    assert key.text.startswith(shown_prefix(key.id))
    assert len(shown_prefix(key.id)) == len(PREFIX) + 12


def test_digest_depends_on_the_key_and_on_the_secret() -> None:
    one, two = make_key().text, make_key().text
    assert is_same(digest(one, b"secret"), digest(one, b"secret"))
    assert not is_same(digest(one, b"secret"), digest(two, b"secret"))
    assert not is_same(digest(one, b"secret"), digest(one, b"other"))
