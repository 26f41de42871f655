from __future__ import annotations

import pytest

from oxidite.errors import PreconditionFailedError
from oxidite.http import Headers, Response
from oxidite.http.conditional import Validators, is_conditional, not_modified
from oxidite.http.dates import format_timestamp

NOW = 1_770_000_000
SAME = format_timestamp(NOW)
OLDER = format_timestamp(NOW - 60)
NEWER = format_timestamp(NOW + 60)
STATE = Validators('"v2"', NOW)

FAILED = "failed"


def answer(fields: dict[str, str], method: str = "GET", state: Validators = STATE) -> str:
    try:
        return state.check(method, Headers(fields.items()))
    except PreconditionFailedError:
        return FAILED


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "changed"),
        # If-Match, by strong comparison (section 13.1.1).
        ({"if-match": '"v2"'}, "changed"),
        ({"if-match": '"v1", "v2"'}, "changed"),
        ({"if-match": "*"}, "changed"),
        ({"if-match": '"v1"'}, FAILED),
        ({"if-match": 'W/"v2"'}, FAILED),
        ({"if-match": ""}, FAILED),
        # If-None-Match, by weak comparison (section 13.1.2).
        ({"if-none-match": '"v2"'}, "same"),
        ({"if-none-match": 'W/"v2"'}, "same"),
        ({"if-none-match": "*"}, "same"),
        ({"if-none-match": '"v1", "v2"'}, "same"),
        ({"if-none-match": '"v1"'}, "changed"),
        # If-Modified-Since (section 13.1.3).
        ({"if-modified-since": SAME}, "same"),
        ({"if-modified-since": NEWER}, "same"),
        ({"if-modified-since": OLDER}, "changed"),
        ({"if-modified-since": "yesterday"}, "changed"),
        # If-Unmodified-Since (section 13.1.4).
        ({"if-unmodified-since": SAME}, "changed"),
        ({"if-unmodified-since": NEWER}, "changed"),
        ({"if-unmodified-since": OLDER}, FAILED),
        ({"if-unmodified-since": "tomorrow"}, "changed"),
        # The order of section 13.2.2.
        ({"if-match": '"v2"', "if-unmodified-since": OLDER}, "changed"),
        ({"if-match": '"v1"', "if-unmodified-since": NEWER}, FAILED),
        ({"if-match": '"v1"', "if-none-match": '"v2"'}, FAILED),
        ({"if-match": '"v2"', "if-none-match": '"v2"'}, "same"),
        ({"if-unmodified-since": OLDER, "if-none-match": '"v2"'}, FAILED),
        ({"if-none-match": '"v1"', "if-modified-since": SAME}, "changed"),
        ({"if-none-match": '"v2"', "if-modified-since": OLDER}, "same"),
    ],
)
def test_conditions_are_checked_as_rfc_9110_says(fields: dict[str, str], expected: str) -> None:
    assert answer(fields) == expected
    assert answer(fields, "HEAD") == expected
    assert is_conditional(Headers(fields.items())) == bool(fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"if-match": '"v2"'}, "changed"),
        ({"if-match": '"v1"'}, FAILED),
        ({"if-none-match": '"v2"'}, FAILED),
        ({"if-none-match": "*"}, FAILED),
        ({"if-none-match": '"v1"'}, "changed"),
        ({"if-modified-since": NEWER}, "changed"),
        ({"if-unmodified-since": OLDER}, FAILED),
    ],
)
def test_what_writes_is_never_answered_with_what_one_has(
    fields: dict[str, str], expected: str
) -> None:
    assert answer(fields, "PUT") == expected


def test_a_list_may_come_in_several_fields() -> None:
    headers = Headers([("if-none-match", '"v1"'), ("if-none-match", '"v2"')])

    assert STATE.check("GET", headers) == "same"


def test_without_a_tag_only_the_star_names_a_state() -> None:
    state = Validators(None, NOW)

    assert answer({"if-none-match": "*"}, state=state) == "same"
    assert answer({"if-none-match": '"v2"'}, state=state) == "changed"
    assert answer({"if-match": "*"}, state=state) == "changed"
    assert answer({"if-match": '"v2"'}, state=state) == FAILED


def test_without_a_date_dates_are_ignored() -> None:
    state = Validators('"v2"')

    assert answer({"if-modified-since": NEWER}, state=state) == "changed"
    assert answer({"if-unmodified-since": OLDER}, state=state) == "changed"


def test_a_weak_tag_satisfies_no_strong_comparison() -> None:
    state = Validators('W/"v2"', NOW)

    assert answer({"if-match": 'W/"v2"'}, state=state) == FAILED
    assert answer({"if-none-match": '"v2"'}, state=state) == "same"
    assert not state.allow_range(Headers([("if-range", 'W/"v2"')]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"v2"', True),
        (' "v2"\t', True),
        ('"v1"', False),
        ('W/"v2"', False),
        ("*", False),
        (SAME, True),
        # The very date, not one that is later (section 13.1.5).
        (NEWER, False),
        (OLDER, False),
        ("garbage", False),
    ],
)
def test_a_range_fits_what_the_client_has_only_if_nothing_changed(
    value: str, expected: bool
) -> None:
    assert STATE.allow_range(Headers([("if-range", value)])) is expected


def test_a_range_without_a_condition_fits() -> None:
    assert STATE.allow_range(Headers())


def test_a_date_is_no_proof_as_long_as_its_second_lasts() -> None:
    state = Validators('W/"v2"', NOW, settled=False)

    assert not state.allow_range(Headers([("if-range", SAME)]))


def test_304_has_what_a_cache_updates_and_nothing_of_the_content() -> None:
    response = Response(
        b"text",
        content_type="text/plain",
        headers={
            "etag": '"v2"',
            "cache-control": "no-cache",
            "vary": "accept",
            "content-language": "en",
            "content-location": "/text.en",
            "set-cookie": "a=b",
        },
    )

    answer = not_modified(response)

    assert answer.status == 304
    assert answer.body == b""
    assert sorted(answer.headers) == [
        "cache-control",
        "content-location",
        "etag",
        "set-cookie",
        "vary",
    ]
    assert response.body == b"text"
