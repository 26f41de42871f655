from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.http.streams import Event
from oxidite.http.streams.events import encode_event
from oxidite.testing import ReceivedEvent
from oxidite.testing.events import read_events


class Tick(Struct):
    number: int


async def received(data: bytes) -> list[ReceivedEvent]:
    """Return the events in ``data``, as a browser would."""
    return [event async for event in read_events(httpx2.Response(200, content=data))]


@pytest.mark.parametrize(
    ("item", "wire"),
    [
        (Tick(1), b'data: {"number":1}\n\n'),
        ({"a": [None]}, b'data: {"a":[null]}\n\n'),
        (None, b"data: null\n\n"),
        ("text", b"data: text\n\n"),
        ("", b"data: \n\n"),
        ("two\nlines", b"data: two\ndata: lines\n\n"),
        (Event(Tick(1)), b'data: {"number":1}\n\n'),
        (Event(None, event="end"), b"event: end\ndata: null\n\n"),
        (
            Event("x", event="tick", id="7", retry=1.5, comment="one\ntwo"),
            b": one\n: two\nretry: 1500\nid: 7\nevent: tick\ndata: x\n\n",
        ),
        (Event(comment=""), b": \n\n"),
        (Event(id="", retry=0), b"retry: 0\nid: \n\n"),
        (Event("é", id="é"), "id: é\ndata: é\n\n".encode()),
    ],
)
def test_an_event_on_the_wire(item: object, wire: bytes) -> None:
    assert encode_event(item) == wire


@pytest.mark.parametrize("field", ["id", "event"])
@pytest.mark.parametrize("value", ["a\nb", "a\r", "\r\ndata: evil", "a\0"])
def test_a_field_of_one_line_has_one_line(field: str, value: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=rf"{field}=.* line break or NUL"):
        Event("x", **fields)


@pytest.mark.parametrize("retry", [-1, float("nan"), float("inf"), 1e12])
def test_what_is_no_time_to_wait_is_refused(retry: float) -> None:
    with pytest.raises(ValueError, match="not a number of seconds"):
        Event("x", retry=retry)


def test_an_event_that_nobody_would_be_told_of_is_refused() -> None:
    with pytest.raises(ValueError, match="There is nothing in this event"):
        Event()
    with pytest.raises(ValueError, match="'tick' without data is ignored"):
        Event(event="tick")


def test_an_event_shows_what_it_holds() -> None:
    assert repr(Event({"a": 1}, id="3")) == "Event(data={'a': 1}, id='3')"
    assert repr(Event(comment="x")) == "Event(comment='x')"


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(data=texts, event=lines, id=lines, comment=texts)
@example(data="a\u2028b\x0bc\x85d", event="e", id="i", comment="\n\ndata: evil")
@example(data="\n\nevent: evil\ndata: x", event="", id="", comment="\r")
async def test_whatever_is_sent_arrives_and_nothing_else(
    data: str, event: str, id: str, comment: str
) -> None:
    wire = encode_event(Event(data, event=event, id=id, comment=comment))

    # What a line ends with is the one thing that the format cannot carry.
    text = re.sub(r"\r\n|\r", "\n", data)
    assert await received(wire) == [ReceivedEvent(text, event or "message", id)]
