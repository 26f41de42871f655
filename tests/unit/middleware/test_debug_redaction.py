"""What the error page does not tell: secrets, wherever they are."""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.clock import perf
from oxidite.config import Secret
from oxidite.http.request import Request
from oxidite.middleware.debug import debug_markdown, debug_page
from oxidite.middleware.debug.values import LONGEST, Values
from oxidite.security.redact import MASK, Redactor, is_secret_name, is_sensitive, scrub

HIDDEN = "hunter2-Xyzzy-42"  # not a word, so that it is known again wherever it is
GET = Request.of("GET", "/")


class OddError(Exception):
    pass


def refuse(message: str) -> None:
    raise OddError(message)


def both(request: Request, function: Callable[..., object], *args: Any) -> str:
    """The page and the Markdown of what ``function`` raises."""
    try:
        function(*args)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what is tested
        forms = debug_page(request, exc, "1"), debug_markdown(request, exc, "1")
        return unescape("\n".join(forms))
    raise AssertionError("it did not fail")


def described(value: object) -> str:
    return Values(Redactor()).of(value)


# Names.


@pytest.mark.parametrize(
    "name",
    [
        "password", "db_passwd", "PWD", "passphrase", "secret", "client_secret", "clientSecret",
        "token", "access_token", "refreshToken", "X-Api-Key", "apikey", "APIKey", "private_key",
        "authorization", "Proxy-Authorization", "Cookie", "set-cookie", "credentials", "csrf",
        "x-csrf-token", "jwt", "signature", b"authorization",
    ],
)  # fmt: skip
def test_a_name_that_can_only_be_a_secrets_is_known(name: object) -> None:
    assert is_secret_name(name)
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["key", "session", "auth", "pin", "user.key", "sessionId", "otp"])
def test_a_name_that_may_be_a_secrets_counts_for_values_only(name: str) -> None:
    assert is_sensitive(name)
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["keyboard", "author", "monkey", "opinion", "spin", "id", 7, None])
def test_other_names_are_not_sensitive(name: object) -> None:
    assert not is_sensitive(name)


# Local variables.


def test_a_variable_with_a_sensitive_name_is_masked() -> None:
    def fail(password: str, key: int, session: object) -> None:
        raise OddError

    text = both(GET, fail, "correct horse battery", 8_675_309, ["a-session-of-somebody"])

    for name in ("password", "key", "session"):
        assert f'<dt>{name}</dt><dd class="value masked">{MASK}</dd>' in text


def test_what_is_missing_is_shown_as_missing() -> None:
    assert Values(Redactor()).named("token", None) == "None"
    assert Values(Redactor()).named("token", "") == "''"
    assert Values(Redactor()).named("token", "x") == MASK
    assert Values(Redactor()).named("pin", 0) == MASK


def test_a_secret_object_is_masked_under_any_name() -> None:
    def fail(value: Secret[str], holder: dict[str, Secret[str]]) -> None:
        raise OddError

    text = both(GET, fail, Secret(HIDDEN), {"x": Secret(HIDDEN)})

    assert f"{HIDDEN}<" not in text
    assert MASK in text


def test_what_a_secret_object_holds_is_masked_in_the_message() -> None:
    def fail(value: Secret[str], data: Secret[bytes]) -> None:
        raise OddError(f"{value.reveal()} and {data.reveal().decode()} were refused")

    text = both(GET, fail, Secret("plain-S3cret-value"), Secret(b"other-S3cret-value"))

    assert f"OddError: {MASK} and {MASK} were refused" in text


def test_a_container_that_changes_while_it_is_read_is_named() -> None:
    class Restless(dict[str, object]):
        __repr__ = dict.__repr__

    grown = Restless()

    class Grows:
        def __repr__(self) -> str:
            grown[str(len(grown))] = 1
            return "grows"

    grown["a"] = Grows()
    grown["b"] = 1

    assert described(grown) == "<Restless: its repr raised RuntimeError>"


class Point(NamedTuple):
    x: int
    token: str


@dataclass
class Settings:
    url: str
    api_key: str
    tokens: list[str] = field(default_factory=list)


class Login(msgspec.Struct):
    name: str
    password: str


@pytest.mark.parametrize(
    "value",
    [
        {"password": HIDDEN},
        {"user": {"credentials": {"a": HIDDEN}}},
        {b"authorization": HIDDEN.encode()},
        [("authorization", HIDDEN)],
        [(b"cookie", HIDDEN.encode())],
        [["x-api-key", HIDDEN]],
        ("token", HIDDEN),
        OrderedDict(password=HIDDEN),
        defaultdict(str, password=HIDDEN),
        deque([{"secret": HIDDEN}]),
        Settings("x", HIDDEN),
        Settings("x", "y", [HIDDEN, HIDDEN]),
        Login("ann", HIDDEN),
        [Login("ann", HIDDEN)],
        Point(1, HIDDEN),
        f"postgresql://app:{HIDDEN}@db/shop",
        Settings(f"redis://:{HIDDEN}@cache", "y"),
        f"Authorization: Bearer {HIDDEN}",
        f'{{"password": "{HIDDEN}", "it\'s": 1}}',
        f"https://example.com/reset?token={HIDDEN}&page=2",
        ValueError(f"password={HIDDEN}"),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:24]}",
)
def test_a_secret_inside_a_value_is_masked(value: object) -> None:
    text = described(value)

    assert "Xyzzy" not in text
    assert MASK in text


@pytest.mark.parametrize(
    "value",
    [
        1, 1.5, None, True, "text", b"bytes", [1, [2, [3]]], {"a": (1,)}, {1, 2}, set(), (), {},
        frozenset({1}), deque([1]), OrderedDict(a=1), ("a", "b"), 10**300, range(3), Ellipsis,
    ],
    ids=str,
)  # fmt: skip
def test_an_ordinary_value_is_shown_as_python_shows_it(value: object) -> None:
    expected = {"OrderedDict": "OrderedDict({'a': 1})"}.get(type(value).__name__, repr(value))

    assert described(value) == expected


def test_a_long_value_is_cut() -> None:
    for value in ("x" * 10_000_000, b"x" * 10_000, list(range(10_000)), {i: i for i in range(999)}):
        assert len(described(value)) <= LONGEST + 1


def test_a_long_container_tells_how_much_was_left_out() -> None:
    assert described(list(range(100))).endswith("18, 19, … 80 more]")


def test_a_huge_int_is_not_turned_into_digits() -> None:
    assert described(1 << 10_000_000) == "<an int of 10000001 bits>"


def test_depth_and_width_of_a_value_are_bounded() -> None:
    loop: list[object] = []
    loop.extend([loop] * 20)
    wide: object = "leaf"
    for _ in range(50):
        wide = [wide] * 20

    assert len(described(loop)) <= LONGEST + 1
    assert len(described(wide)) <= LONGEST + 1


def test_no_repr_is_asked_for_once_they_took_too_long() -> None:
    values = Values(Redactor(), seconds=-1)

    assert values.of(object()) == "<object: not asked, the others took too long>"
    assert values.of([1, "a"]) == "[1, 'a']"


def test_values_are_left_out_once_there_is_no_room() -> None:
    values = Values(Redactor(), characters=10)

    assert values.of("0123456789") == "'0123456789'"
    assert values.of("more") == "…"


# The request.


def test_credentials_of_the_request_are_masked() -> None:
    headers = {
        "authorization": f"Bearer {HIDDEN}",
        "cookie": f"session={HIDDEN}; theme=dark",
        "x-api-key": HIDDEN,
        "x-forwarded-for": "203.0.113.9",
        "referer": f"https://example.com/?token={HIDDEN}",
    }
    request = Request.of("GET", f"/?token={HIDDEN}&page=2", headers=headers)

    text = both(request, refuse, "x")

    assert HIDDEN not in text
    assert "theme=dark" not in text
    assert "203.0.113.9" in text
    assert "page" in text


def test_a_secret_in_the_path_is_not_shown() -> None:
    request = Request.of("GET", "/reset/abc123def456/edit")
    request.params = {"token": "abc123def456"}

    text = both(request, refuse, "x")

    assert "abc123def456" not in text


def test_a_secret_of_the_request_is_masked_where_it_comes_back() -> None:
    request = Request.of("GET", "/", headers={"authorization": f"Bearer {HIDDEN}"})

    text = both(request, refuse, f"no user for {HIDDEN}")

    assert HIDDEN not in text
    assert f"no user for {MASK}" in text


def test_a_secret_variable_is_masked_in_the_message_and_in_other_variables() -> None:
    def check(password: str, other: str) -> None:
        words = [other]
        raise OddError(f"{words} is wrong", password)

    text = both(GET, check, HIDDEN, HIDDEN)

    # What is left is this file's own code, in the line that calls: a literal name, not the value.
    assert HIDDEN not in text


def test_a_number_is_masked_by_its_name_and_not_taken_for_a_secret_elsewhere() -> None:
    def pay(pin_token: int, amount: int) -> None:
        raise OddError(f"no account for {amount}")

    text = both(GET, pay, 48151623, 48151623)

    assert "no account for 48151623" in text
    assert f'<dt>pin_token</dt><dd class="value masked">{MASK}</dd>' in text


def test_a_secret_in_the_code_shown_is_masked_when_it_is_known() -> None:
    def connect(password: str = "s3cr3t-in-the-code") -> None:
        raise OddError

    assert "s3cr3t-in-the-code" not in both(GET, connect)


def test_ordinary_words_are_not_taken_for_secrets() -> None:
    def parse(token: str, key: str) -> None:
        raise OddError(f"unexpected token: {token} after identifier")

    assert "unexpected token: identifier after identifier" in both(GET, parse, "identifier", "a")


def test_notes_causes_and_members_are_masked_too() -> None:
    def fail() -> None:
        error = ExceptionGroup(f"password={HIDDEN}", [OddError(f"token={HIDDEN}")])
        error.add_note(f"secret={HIDDEN}")
        raise error from OddError(f"postgresql://app:{HIDDEN}@db")

    assert not re.search(r"(password=|token=|secret=|app:)hunter2", both(GET, fail))


# Text.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=abc", f"password={MASK}"),
        ("password = 'a b c' done", f"password = {MASK} done"),
        ('{"api_key": "abc", "id": 1}', f'{{"api_key": {MASK}, "id": 1}}'),
        (r"'{\"token\": \"abc\"}'", rf"'{{\"token\": {MASK}\"}}'"),
        ("a?x=1&access_token=abc&y=2", f"a?x=1&access_token={MASK}&y=2"),
        ("tokens=['a', 'b'], n=1", f"tokens={MASK}, n=1"),
        ("mysql://u:p@ss@h/db", f"mysql://u:{MASK}@h/db"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("http://h/?token=abc", f"http://h/?token={MASK}"),
        ("bearer abcdef.ghi", f"bearer {MASK}"),
        ("Basic dXNlcjpwYXNz1", f"Basic {MASK}"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("Unexpected token: end of file", "Unexpected token: end of file"),
        ("password, username", "password, username"),
        ("password=", "password="),
        ("key=abc", "key=abc"),
        ("KeyError: 'name'", "KeyError: 'name'"),
        (f"token={MASK}", f"token={MASK}"),
        ("", ""),
    ],
)
def test_text_is_scrubbed(text: str, shown: str) -> None:
    assert scrub(text) == shown
    assert scrub(shown) == shown


@given(st.text(alphabet="ab=:,'\"\\[](){}@/?&. -_token", max_size=200))
def test_scrubbing_never_fails_and_keeps_text_without_names(text: str) -> None:
    assert isinstance(scrub(text), str)
    if "token" not in text and "@" not in text:
        assert scrub(text) == text


@pytest.mark.parametrize(
    "unit", ["a", "a-", "token=", "token='", "://", "a://b:", "Bearer ", "\\", "[", "token=(", "' "]
)
def test_scrubbing_takes_linear_time(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = perf()
        scrub(text)
        return perf() - started

    # Quadratic time would take minutes for this much.
    assert seconds(500_000) < 10
