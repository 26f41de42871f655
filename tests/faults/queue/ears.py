"""Writes down the events of a process that the tests of faults have started, one a line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from oxidite import instrument

__all__ = ["is_there", "listen", "note"]

_HERE = os.environ.get("OXIDITE_TEST_DIRECTORY")
_stack = contextlib.ExitStack()


def note(text: str) -> None:
    """Write a line that is there whatever happens next."""
    with (Path(_HERE or "/nowhere") / "seen").open("a") as file:
        file.write(f"{text}\n")


def is_there(name: str) -> bool:
    """Tell whether the test has made a file of that name."""
    return (Path(_HERE or "/nowhere") / name).exists()


class _Ear(instrument.Listener):
    def span_started(self, span: instrument.Span) -> None:
        return None

    def span_ended(self, span: instrument.Span, error: BaseException | None) -> None:
        return None

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        said = " ".join(f"{key}={value}" for key, value in attributes.items())
        note(f"event {name} {said}")


def listen() -> None:
    """Listen for as long as the process lives, if a test has started it."""
    if _HERE is not None:
        _stack.enter_context(instrument.listen(_Ear()))
