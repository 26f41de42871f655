"""Any text becomes a key that every store takes."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from oxidite.cache.keys import LONGEST, stored_key, stored_prefix

TEXTS = st.text(st.characters(codec=None), max_size=300)  # halves of surrogates, too


@given(TEXTS, TEXTS)
def test_keys_are_short_printable_and_as_different_as_their_texts(one: str, other: str) -> None:
    key = stored_key(one)
    assert 0 < len(key) <= LONGEST <= 250
    assert key.isascii()
    assert key.isprintable()
    assert " " not in key
    assert (key == stored_key(other)) == (one == other)


@given(st.text(st.characters(codec=None), min_size=1, max_size=60))
def test_a_short_key_can_be_read_again(text: str) -> None:
    key = stored_key(text)
    if len(key) < LONGEST:
        assert unquote_to_bytes(key).decode("utf-8", "surrogatepass") == text


@given(st.text("ab :é%", max_size=15), TEXTS)
def test_keys_with_a_prefix_begin_with_its_stored_form(prefix: str, rest: str) -> None:
    if prefix + rest:
        assert stored_key(prefix + rest).startswith(stored_prefix(prefix))


def test_long_keys_that_begin_alike_are_different() -> None:
    assert stored_key("x" * 300) != stored_key("x" * 301)
    assert stored_key("x" * 300 + " ") != stored_key("x" * 300 + "%20")
