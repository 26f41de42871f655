"""``oxidite.servers.frames``: tracebacks of the user's own files."""

from __future__ import annotations

import json

from oxidite.servers.frames import users_traceback


def raised(function: object, *args: object) -> Exception:
    try:
        function(*args)  # type: ignore[operator]  # given one below
    except Exception as exc:  # noqa: BLE001 - it is what the tests are about
        return exc
    raise AssertionError("it did not raise")


def test_frames_of_the_standard_library_are_left_out() -> None:
    text = users_traceback(raised(json.loads, "{"))

    assert __file__ in text
    assert "json/decoder.py" not in text
    assert text.rstrip().splitlines()[-1].startswith("json.decoder.JSONDecodeError: ")


def test_causes_are_cut_too() -> None:
    def outer() -> None:
        try:
            json.loads("{")
        except ValueError as exc:
            raise LookupError("outer") from exc

    text = users_traceback(raised(outer))

    assert "JSONDecodeError" in text
    assert "direct cause" in text
    assert "json/decoder.py" not in text


def test_a_heading_without_frames_is_left_out() -> None:
    assert users_traceback(ValueError("never raised")) == "ValueError: never raised\n"


def test_an_endless_message_is_cut() -> None:
    text = users_traceback(ValueError("x" * 1_000_000))

    assert len(text) < 110_000
    assert "\n…\n" in text


def test_every_exception_of_a_group_is_shown() -> None:
    group = ExceptionGroup("two", [raised(json.loads, "{"), raised(int, "x")])

    text = users_traceback(group)

    assert "JSONDecodeError" in text
    assert "invalid literal" in text
    assert "json/decoder.py" not in text
