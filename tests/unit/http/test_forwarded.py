from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http import Address
from oxidite.http.forwarded import InvalidForwardedError, parse_forwarded, parse_node

TOKENS = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1)
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))
ELEMENTS = st.lists(st.dictionaries(TOKENS.map(str.lower), TEXTS, min_size=1), max_size=4)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(ELEMENTS)
def test_what_is_written_by_the_rules_is_read_as_it_was_meant(
    elements: list[dict[str, str]],
) -> None:
    text = " ,\t".join(
        "; ".join(f"{name}={quoted(value)}" for name, value in element.items())
        for element in elements
    )

    assert parse_forwarded(text) == elements


@given(st.text(st.sampled_from('for=host;,"\\ \t[]:_1a%'), max_size=60))
def test_anything_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidForwardedError):
        for element in parse_forwarded(text):
            with contextlib.suppress(InvalidForwardedError):
                parse_node(element.get("for", "unknown"))


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        ("", []),
        (" , ,", []),
        ("for=192.0.2.43", [{"for": "192.0.2.43"}]),
        ("For=1.2.3.4;PROTO=https", [{"for": "1.2.3.4", "proto": "https"}]),
        ("for=1.2.3.4, for=5.6.7.8", [{"for": "1.2.3.4"}, {"for": "5.6.7.8"}]),
        ('for="[2001:db8::1]:4711"', [{"for": "[2001:db8::1]:4711"}]),
        (r'for="a\"b,c;d"', [{"for": 'a"b,c;d'}]),
        (";for=a;;by=b;", [{"for": "a", "by": "b"}]),
    ],
)
def test_a_forwarded_field_is_read(value: str, elements: list[dict[str, str]]) -> None:
    assert parse_forwarded(value) == elements


@pytest.mark.parametrize(
    "value",
    [
        "for",
        "for=",
        "for =a",
        "for= a",
        'for="a',
        'for="a"b',
        "for=a by=b",
        "for=[::1]",
        "for=a;for=a",
        "for=a;For=b",
        "1.2.3.4",
        'for="a\x00"',
        "for=a;=b",
    ],
)
def test_a_malformed_forwarded_field_is_refused(value: str) -> None:
    with pytest.raises(InvalidForwardedError, match="cannot be read"):
        parse_forwarded(value)


def test_a_long_field_takes_no_more_than_linear_time() -> None:
    # Quadratic, each of these would take minutes.
    assert len(parse_forwarded("for=a," * 100_000)) == 100_000
    for hostile in (
        'for="' + "\\a" * 300_000,
        "a" * 600_000,
        "for=" + '"",' * 1 + " " * 600_000 + "x",
    ):
        with pytest.raises(InvalidForwardedError):
            parse_forwarded(hostile)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.43", ("192.0.2.43", 0)),
        ("192.0.2.43:80", ("192.0.2.43", 80)),
        ("192.0.2.43:_hidden", ("192.0.2.43", 0)),
        ("2001:DB8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
        ("[::ffff:192.0.2.1]:1", ("192.0.2.1", 1)),
    ],
)
def test_the_address_of_a_node_is_read(text: str, address: tuple[str, int]) -> None:
    assert parse_node(text) == Address(*address)


@pytest.mark.parametrize("text", ["unknown", "Unknown", "_hidden", "_SEVKISEK", "unknown:80"])
def test_a_node_may_be_unknown_or_hidden(text: str) -> None:
    assert parse_node(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4:65536",
        "1.2.3.4:",
        "1.2.3.4:x",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "1.2.3.4%eth0",
        "1.2.3.4\n",
        "0x7f.1",
        "010.0.0.1",
        "_",
    ],
)
def test_a_node_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidForwardedError, match="cannot be read"):
        parse_node(text)
