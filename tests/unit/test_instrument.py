from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import copy_context

import pytest

from oxidite.instrument import Span, current_span, event, is_listening, listen, span


class Recorder:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def span_started(self, span: Span) -> None:
        self.heard.append(("started", span.name, span.parent.name if span.parent else None))

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        self.heard.append(("ended", span.name, dict(span.attributes), type(error)))

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        inside = current_span()
        self.heard.append(("event", name, dict(attributes), inside.name if inside else None))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    with listen(recorder):
        yield recorder


class BrokenError(Exception):
    """What a broken listener raises."""


class Broken:
    """A listener that always fails."""

    def span_started(self, span: Span) -> None:
        raise BrokenError

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        raise BrokenError

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        raise BrokenError


def test_without_a_listener_a_span_keeps_nothing() -> None:
    with span("work", rows=1) as work:
        work.set("more", 2)
        event("hit")

        assert work.attributes == {}
        assert current_span() is None
        assert not is_listening()


def test_without_a_listener_all_spans_are_one_object() -> None:
    assert span("a") is span("b", x=1)


def test_errors_pass_through_a_span_nobody_hears() -> None:
    with pytest.raises(LookupError), span("work"):
        raise LookupError


def test_a_listener_hears_the_start_the_end_and_what_was_added_between(
    recorder: Recorder,
) -> None:
    with span("db.query", table="users") as query:
        query.set("rows", 3)

    assert recorder.heard == [
        ("started", "db.query", None),
        ("ended", "db.query", {"table": "users", "rows": 3}, type(None)),
    ]


def test_a_listener_hears_events_with_the_span_they_happen_in(recorder: Recorder) -> None:
    event("alone")
    with span("request"):
        event("cache.hit", key="user:1")

    assert recorder.heard[0] == ("event", "alone", {}, None)
    assert recorder.heard[2] == ("event", "cache.hit", {"key": "user:1"}, "request")


def test_an_attribute_may_be_called_name(recorder: Recorder) -> None:
    event("renamed", name="new")
    with span("rename", name="new"):
        pass

    assert recorder.heard[0] == ("event", "renamed", {"name": "new"}, None)
    assert recorder.heard[-1] == ("ended", "rename", {"name": "new"}, type(None))


def test_a_span_knows_the_span_around_it(recorder: Recorder) -> None:
    with span("outer"):
        with span("first"):
            pass
        with span("second"), span("inner"):
            pass

    assert [heard[1:] for heard in recorder.heard if heard[0] == "started"] == [
        ("outer", None),
        ("first", "outer"),
        ("second", "outer"),
        ("inner", "second"),
    ]
    assert current_span() is None


def test_the_error_that_left_a_span_is_told_and_not_swallowed(recorder: Recorder) -> None:
    with pytest.raises(ZeroDivisionError), span("division"):
        raise ZeroDivisionError

    assert recorder.heard[-1] == ("ended", "division", {}, ZeroDivisionError)
    assert current_span() is None


async def test_a_cancellation_is_told_as_the_error(recorder: Recorder) -> None:
    async def work() -> None:
        with span("work"):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert recorder.heard[-1] == ("ended", "work", {}, asyncio.CancelledError)


async def test_tasks_started_in_a_span_are_inside_it_and_do_not_mix(recorder: Recorder) -> None:
    async def child(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)
            with span(f"{name}.inner"):
                await asyncio.sleep(0)

    with span("request"):
        await asyncio.gather(child("a"), child("b"))

    parents = {heard[1]: heard[2] for heard in recorder.heard if heard[0] == "started"}
    assert parents == {
        "request": None,
        "a": "request",
        "b": "request",
        "a.inner": "a",
        "b.inner": "b",
    }


async def test_a_generator_closed_in_another_context_leaves_that_context_alone(
    recorder: Recorder,
) -> None:
    async def rows() -> AsyncIterator[int]:
        with span("rows"):
            yield 1

    generator = rows()

    async def begin() -> None:
        await anext(generator)

    await asyncio.create_task(begin(), context=copy_context())
    with span("elsewhere") as elsewhere:
        await generator.aclose()  # type: ignore[attr-defined]  # it is an async generator

        assert current_span() is elsewhere
    assert [heard[:2] for heard in recorder.heard] == [
        ("started", "rows"),
        ("started", "elsewhere"),
        ("ended", "rows"),
        ("ended", "elsewhere"),
    ]


def test_a_finished_span_lets_go_of_its_past(recorder: Recorder) -> None:
    with span("grandparent") as oldest:
        watched = weakref.ref(oldest)
        with span("parent"):
            context = copy_context()  # what a task started here would keep
    del oldest
    gc.collect()

    assert watched() is None
    inherited = context.run(current_span)
    assert inherited is not None
    assert inherited.name == "parent"


def test_listening_ends_with_the_block() -> None:
    recorder = Recorder()
    with listen(recorder):
        assert is_listening()

    event("unheard")

    assert recorder.heard == []
    assert not is_listening()


def test_several_listeners_hear_the_same_and_may_stop_in_any_order() -> None:
    first, second = Recorder(), Recorder()
    first_ear, second_ear = listen(first), listen(second)
    first_ear.__enter__()
    second_ear.__enter__()
    event("both")

    first_ear.__exit__(None, None, None)
    event("one")
    second_ear.__exit__(None, None, None)
    event("none")

    assert [heard[1] for heard in first.heard] == ["both"]
    assert [heard[1] for heard in second.heard] == ["both", "one"]


def test_who_heard_the_start_of_a_span_hears_its_end_and_nobody_else_does() -> None:
    early, late = Recorder(), Recorder()
    with listen(early):
        work = span("work")
        work.__enter__()
    with listen(late):
        work.__exit__(None, None, None)

    assert [heard[:2] for heard in early.heard] == [("started", "work"), ("ended", "work")]
    assert late.heard == []


def test_a_listener_that_fails_breaks_nothing_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()
    with caplog.at_level(logging.ERROR), listen(Broken()), listen(recorder):
        for _ in range(3):
            with span("work"):
                event("hit")

    assert [heard[0] for heard in recorder.heard] == ["started", "event", "ended"] * 3
    (record,) = caplog.records
    assert "Broken.span_started" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is BrokenError


def test_the_programs_own_error_survives_a_listener_that_fails() -> None:
    with pytest.raises(LookupError), listen(Broken()), span("work"):
        raise LookupError


def test_a_listener_may_use_spans_as_keys() -> None:
    class Timer:
        def __init__(self) -> None:
            self.open: dict[Span, str] = {}
            self.closed: list[str] = []

        def span_started(self, span: Span) -> None:
            self.open[span] = span.name

        def span_ended(self, span: Span, error: BaseException | None) -> None:
            self.closed.append(self.open.pop(span))

        def event(self, name: str, attributes: Mapping[str, object]) -> None:
            raise AssertionError

    timer = Timer()
    with listen(timer), span("outer"), span("same"), span("same"):
        assert len(timer.open) == 3

    assert timer.open == {}
    assert timer.closed == ["same", "same", "outer"]
