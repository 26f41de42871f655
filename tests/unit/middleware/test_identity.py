from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping

import pytest

from oxidite import Oxidite, Request, StreamingResponse
from oxidite.errors import ConfigError
from oxidite.instrument import Span, listen
from oxidite.middleware import (
    IdentityFilter,
    RequestID,
    Trace,
    current_identity,
    request_id,
)
from oxidite.testing import Client

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def application(
    *, accept: bool | None = None, continue_trace: bool = True, trusted: str = ""
) -> Oxidite:
    app = Oxidite(
        middleware=[request_id(accept=accept, continue_trace=continue_trace)],
        trusted_proxies=trusted,
    )

    @app.get("/")
    async def seen(id: RequestID, trace: Trace) -> dict[str, object]:
        return {
            "id": id,
            "trace": trace.trace_id,
            "parent": trace.parent_id,
            "sent": trace.headers(),
        }

    return app


async def test_each_request_has_an_id_of_its_own_and_is_answered_with_it() -> None:
    async with Client(application()) as client:
        responses = [await client.get("/") for _ in range(100)]

    ids = [each.headers["x-request-id"] for each in responses]
    assert ids == [each.json()["id"] for each in responses]
    assert len(set(ids)) == 100
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}


async def test_ids_are_in_the_order_of_time_whatever_they_begin_with() -> None:
    async with Client(application()) as client:
        response = await client.get("/")

    identifier = response.headers["x-request-id"]
    assert len(identifier) == 32
    assert identifier.startswith("01")


async def test_an_answer_that_is_an_error_has_the_id_too() -> None:
    async with Client(application()) as client:
        assert len((await client.get("/nowhere")).headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("accept", "trusted", "is_kept"),
    [
        (None, "", False),
        (None, "127.0.0.1", True),
        (True, "", True),
        (False, "127.0.0.1", False),
    ],
)
async def test_an_id_that_came_is_kept_if_it_may_be(
    accept: bool | None, trusted: str, is_kept: bool
) -> None:
    headers = {"x-request-id": "Root=1-67891233:abc", "x-forwarded-for": "1.2.3.4"}

    async with Client(application(accept=accept, trusted=trusted)) as client:
        response = await client.get("/", headers=headers)

    assert (response.json()["id"] == "Root=1-67891233:abc") is is_kept


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\tb", "x" * 129, "é".encode(), "a;b", '"', "<b>"]
)
async def test_an_id_that_is_none_is_not_kept(value: str | bytes) -> None:
    async with Client(application(accept=True)) as client:
        response = await client.get(
            "/", headers=[(b"x-request-id", value if isinstance(value, bytes) else value.encode())]
        )

    assert uuid.UUID(response.headers["x-request-id"]).version == 7


async def test_a_trace_that_came_goes_on() -> None:
    headers = {"traceparent": PARENT, "tracestate": "congo=t61rcWkgMzE"}

    async with Client(application()) as client:
        found = (await client.get("/", headers=headers)).json()

    assert (found["trace"], found["parent"]) == (TRACE, SPAN)
    version, trace, span, flags = found["sent"]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span not in (SPAN, "0" * 16)
    assert found["sent"]["tracestate"] == "congo=t61rcWkgMzE"


@pytest.mark.parametrize(
    ("continue_trace", "headers"),
    [
        (True, {}),
        (True, {"traceparent": PARENT.upper(), "tracestate": "a=1"}),
        (True, {"tracestate": "a=1"}),
        (False, {"traceparent": PARENT, "tracestate": "a=1"}),
    ],
)
async def test_without_one_a_trace_begins_that_has_the_id_of_the_request(
    continue_trace: bool, headers: Mapping[str, str]
) -> None:
    async with Client(application(continue_trace=continue_trace)) as client:
        found = (await client.get("/", headers=dict(headers))).json()

    assert found["trace"] == found["id"]
    assert found["parent"] == ""
    assert found["sent"].keys() == {"traceparent"}


async def test_every_log_record_of_a_request_knows_it(caplog: pytest.LogCaptureFixture) -> None:
    app = Oxidite(middleware=[request_id()])
    logger = logging.getLogger("tests.identity")

    @app.get("/")
    async def index() -> None:
        logger.warning("in the handler")
        await asyncio.to_thread(logger.warning, "in a thread")

    @app.get("/sync")
    def sync() -> None:
        logger.warning("in a sync handler")

    caplog.handler.addFilter(IdentityFilter())
    try:
        async with Client(app) as client:
            first = (await client.get("/")).headers["x-request-id"]
            second = (await client.get("/sync")).headers["x-request-id"]
            logger.warning("outside")
    finally:
        caplog.handler.filters.clear()

    ids = [getattr(record, "request_id", None) for record in caplog.records]
    assert ids == [first, first, second, "-"]
    assert len({getattr(record, "span_id", None) for record in caplog.records}) == 3


async def test_a_stream_and_the_work_after_the_response_still_know_it() -> None:
    app = Oxidite(middleware=[request_id()])
    known: list[str] = []

    def remember() -> None:
        identity = current_identity()
        known.append("" if identity is None else identity.request_id)

    @app.get("/")
    async def stream(request: Request) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            remember()
            yield "line"

        request.after_response(remember)
        return StreamingResponse(lines())

    async with Client(app) as client:
        identifier = (await client.get("/")).headers["x-request-id"]

    assert known == [identifier, identifier]


async def test_two_requests_at_once_do_not_take_each_other_s_id() -> None:
    app = Oxidite(middleware=[request_id()])
    both = asyncio.Barrier(2)

    @app.get("/")
    async def meet(id: RequestID) -> bool:
        await both.wait()
        identity = current_identity()
        return identity is not None and identity.request_id == id

    async with Client(app) as client:
        responses = await asyncio.gather(client.get("/"), client.get("/"))

    assert [each.json() for each in responses] == [True, True]
    assert len({each.headers["x-request-id"] for each in responses}) == 2


class Heard:
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def span_started(self, span: Span) -> None:
        self.spans.append(span)

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        pass

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        pass


async def test_who_listens_hears_of_the_request_with_its_ids() -> None:
    heard = Heard()

    async with Client(application()) as client:
        with listen(heard):
            response = await client.get("/", headers={"traceparent": PARENT})

    [span] = heard.spans
    assert span.name == "http.request"
    assert span.attributes["request_id"] == response.headers["x-request-id"]
    assert span.attributes["trace_id"] == TRACE
    assert span.attributes["parent_id"] == SPAN
    assert span.attributes["route"] == "/"
    assert span.attributes["status"] == 200


async def test_an_identity_makes_the_fields_of_a_call_to_another_service() -> None:
    app = Oxidite(middleware=[request_id("X-Correlation-ID")])

    @app.get("/")
    async def index() -> dict[str, str]:
        identity = current_identity()
        return {} if identity is None else identity.headers()

    async with Client(app) as client:
        response = await client.get("/")

    assert response.json().keys() == {"x-request-id", "traceparent"}
    assert response.json()["x-request-id"] == response.headers["x-correlation-id"]


@pytest.mark.parametrize("name", ["/id", "/trace"])
async def test_without_the_middleware_the_arguments_say_what_is_missing(name: str) -> None:
    app = Oxidite()

    @app.get("/id")
    async def by_id(id: RequestID) -> str:
        return id

    @app.get("/trace")
    async def by_trace(trace: Trace) -> str:
        return trace.trace_id

    async with Client(app) as client:
        with pytest.raises(ConfigError, match="made by a middleware"):
            await client.get(name)


def test_a_header_that_is_no_name_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="not a header name"):
        request_id("x request id")
