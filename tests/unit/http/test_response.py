from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from oxidite.http.headers import FixedHeaders
from oxidite.http.response import (
    HTMLResponse,
    JSONResponse,
    MountedResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    TextResponse,
    to_response,
)

INJECTIONS = [
    "x\r\nset-cookie: admin=1",
    "x\nset-cookie: admin=1",
    "x\rset-cookie: admin=1",
    "x\r\n\r\n<script>",
    "x\x00",
]
BAD_STATUSES: list[Any] = [0, -1, 99, 100, 101, 199, 1000, "200", "200 OK\r\nx: y", None, 200.5]


class Point(msgspec.Struct):
    x: int


@dataclasses.dataclass
class Data:
    x: int


class Pair(NamedTuple):
    a: int
    b: int


class TestResponse:
    def test_text_is_utf_8_and_says_so(self) -> None:
        response = Response("é")
        assert response.body == "é".encode()
        assert response.headers["content-type"] == "text/plain; charset=utf-8"

    def test_bytes_say_nothing(self) -> None:
        response = Response(b"x", 201)
        assert (response.status, response.content_type, dict(response.headers)) == (201, None, {})

    def test_a_header_may_replace_the_content_type(self) -> None:
        response = JSONResponse({}, headers={"Content-Type": "application/hal+json"})
        assert response.headers.get_all("content-type") == ["application/hal+json"]
        assert response.content_type == "application/hal+json"

    def test_the_content_type_can_be_set(self) -> None:
        response = Response("x")
        response.content_type = "text/csv"
        assert response.headers.multi_items() == [("content-type", "text/csv")]

    def test_headers_given_with_repeated_fields_stay_repeated(self) -> None:
        first = Response(b"")
        first.set_cookie("a", "1")
        first.set_cookie("b", "2")
        second = Response(b"", headers=first.headers)
        assert len(second.headers.get_all("set-cookie")) == 2

    @pytest.mark.parametrize(
        ("response", "body", "content_type"),
        [
            (JSONResponse({"a": 1}), b'{"a":1}', "application/json"),
            (TextResponse("x"), b"x", "text/plain; charset=utf-8"),
            (HTMLResponse("<p>"), b"<p>", "text/html; charset=utf-8"),
        ],
    )
    def test_each_kind_has_its_content_type(
        self, response: Response, body: bytes, content_type: str
    ) -> None:
        assert (response.body, response.content_type) == (body, content_type)
        assert response.status == 200
        assert response.error is None
        assert response.complete

    def test_cookies_are_set_side_by_side_and_deleted(self) -> None:
        response = Response()
        response.set_cookie("a", "1", max_age=60, secure=True)
        response.delete_cookie("b")
        first, second = response.headers.get_all("set-cookie")
        assert first.startswith("a=1; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax")
        assert second.startswith("b=;")
        assert "Max-Age=0" in second

    def test_a_cookie_of_a_frame_on_another_site_is_deleted_as_it_was_set(self) -> None:
        response = Response()
        response.set_cookie("a", "1", secure=True, samesite="None", partitioned=True)
        response.delete_cookie("a", samesite="None", partitioned=True)
        deleted = response.headers.get_all("set-cookie")[1]
        assert deleted.endswith("; Secure; HttpOnly; SameSite=None; Partitioned")

    def test_a_cookie_is_safe_unless_said_otherwise(self) -> None:
        response = Response()
        response.set_cookie("a", "1")
        assert "HttpOnly" in response.headers["set-cookie"]
        assert "SameSite=Lax" in response.headers["set-cookie"]

    def test_the_repr_has_no_body_and_no_headers(self) -> None:
        response = TextResponse("hunter2", headers={"x": "hunter2"})
        assert repr(response) == "<TextResponse 200 text/plain; charset=utf-8>"


class TestInjection:
    @pytest.mark.parametrize("value", INJECTIONS)
    def test_no_value_breaks_the_headers_whichever_way_it_comes(self, value: str) -> None:
        response = Response(b"x")
        with pytest.raises(ValueError, match="header value"):
            response.headers["x"] = value
        with pytest.raises(ValueError, match="header value"):
            response.content_type = value
        with pytest.raises(ValueError, match="cookie"):
            response.set_cookie("a", value)
        with pytest.raises(ValueError, match="cookie"):
            response.set_cookie(value, "1")
        with pytest.raises(ValueError, match="cookie"):
            response.set_cookie("a", "1", path="/" + value)
        with pytest.raises(ValueError, match="cookie"):
            response.set_cookie("a", "1", domain=value)
        with pytest.raises(ValueError, match="cookie"):
            response.delete_cookie("a", domain=value)
        assert response.headers.multi_items() == []

    @pytest.mark.parametrize("value", INJECTIONS)
    def test_no_constructor_takes_a_header_that_breaks_them(self, value: str) -> None:
        for kind in (JSONResponse, TextResponse, HTMLResponse, RedirectResponse):
            with pytest.raises(ValueError, match="header value"):
                kind("x", headers={"x": value})
        with pytest.raises(ValueError, match="header value"):
            Response(b"", headers={"x": value})
        with pytest.raises(ValueError, match="header value"):
            StreamingResponse([], headers={"x": value})

    @pytest.mark.parametrize("value", INJECTIONS)
    def test_a_content_type_that_breaks_the_headers_is_refused_at_once(self, value: str) -> None:
        with pytest.raises(ValueError, match="header value"):
            Response(b"", content_type=value)
        with pytest.raises(ValueError, match="header value"):
            Response("", content_type=value)
        with pytest.raises(ValueError, match="header value"):
            StreamingResponse([], content_type=value)

    @pytest.mark.parametrize("status", BAD_STATUSES)
    def test_a_status_that_is_none_is_refused_at_once(self, status: Any) -> None:
        with pytest.raises(ValueError, match="status"):
            Response(b"", status)
        with pytest.raises(ValueError, match="status"):
            JSONResponse({}, status)
        with pytest.raises(ValueError, match="status"):
            StreamingResponse([], status)

    @pytest.mark.parametrize("value", INJECTIONS)
    def test_a_redirect_encodes_what_would_break_it(self, value: str) -> None:
        location = RedirectResponse(value).headers["location"]
        assert not set(location) & set("\r\n\x00 <>")


class TestRedirect:
    def test_a_form_is_not_posted_twice(self) -> None:
        response = RedirectResponse("/done")
        assert (response.status, response.headers["location"]) == (303, "/done")
        assert response.body == b""

    @pytest.mark.parametrize(
        "url",
        [
            "/a/b?x=1&y=%20#z",
            "https://example.com:8080/a;b=c,d",
            "//cdn.example.com/x",
            "../b/",
            "http://[::1]/",
            "?page=2",
            "/a%2Fb",
        ],
    )
    def test_a_url_stays_what_it_is(self, url: str) -> None:
        assert RedirectResponse(url).headers["location"] == url

    @pytest.mark.parametrize(
        ("url", "encoded"),
        [
            ("/a b", "/a%20b"),
            ("/é", "/%C3%A9"),
            ("/\\evil.com", "/%5Cevil.com"),
            ('/"><script>', "/%22%3E%3Cscript%3E"),
        ],
    )
    def test_what_a_url_cannot_hold_is_encoded(self, url: str, encoded: str) -> None:
        assert RedirectResponse(url).headers["location"] == encoded

    @pytest.mark.parametrize("status", [200, 299, 400, 404])
    def test_another_status_is_no_redirect(self, status: int) -> None:
        with pytest.raises(ValueError, match="not a redirect"):
            RedirectResponse("/", status)

    def test_a_location_in_headers_does_not_stand_beside_the_url(self) -> None:
        response = RedirectResponse("/a", headers={"location": "/b"})
        assert response.headers.get_all("location") == ["/a"]


class TestStreaming:
    async def test_sync_and_async_content_are_the_same_from_outside(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        for content in ([b"a", b"b"], chunks(), iter([b"a", b"b"])):
            response = StreamingResponse(content)
            assert isinstance(response.content, AsyncIterable)
            assert [chunk async for chunk in response.content] == [b"a", b"b"]
            assert not response.complete
            assert response.content_type == "application/octet-stream"

    async def test_a_sync_generator_is_closed_with_the_response(self) -> None:
        closed = []

        def rows() -> Iterator[str]:
            try:
                yield "1"
                yield "2"
            finally:
                closed.append(True)

        kept = rows()  # somebody else holds it too
        content: Any = StreamingResponse(kept).content
        assert await anext(content) == "1"
        await content.aclose()
        assert closed == [True]


class TestToResponse:
    @pytest.mark.parametrize(
        ("value", "body", "content_type"),
        [
            ("é", "é".encode(), "text/plain; charset=utf-8"),
            ("", b"", "text/plain; charset=utf-8"),
            (b"x", b"x", "application/octet-stream"),
            ({"a": 1}, b'{"a":1}', "application/json"),
            ([1, 2], b"[1,2]", "application/json"),
            ([], b"[]", "application/json"),
            (0, b"0", "application/json"),
            (False, b"false", "application/json"),
            (1.5, b"1.5", "application/json"),
            (float("nan"), b"null", "application/json"),
            (Point(1), b'{"x":1}', "application/json"),
            (Data(1), b'{"x":1}', "application/json"),
            (Decimal("1.10"), b'"1.10"', "application/json"),
            (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"', "application/json"),
            (datetime(2026, 1, 2, tzinfo=UTC), b'"2026-01-02T00:00:00Z"', "application/json"),
            (PurePosixPath("/a"), b'"/a"', "application/json"),
            ([Point(1), None], b'[{"x":1},null]', "application/json"),
        ],
    )
    def test_every_value_becomes_what_it_looks_like(
        self, value: object, body: bytes, content_type: str
    ) -> None:
        response = to_response(value)
        assert (response.status, response.body, response.content_type) == (200, body, content_type)
        assert response.error is None

    def test_the_status_is_that_of_the_route(self) -> None:
        assert to_response({}, 201).status == 201
        assert to_response("x", 418).status == 418
        assert to_response(b"x", 203).status == 203

    def test_none_is_204_unless_the_route_says_otherwise(self) -> None:
        response = to_response(None)
        assert (response.status, response.body, response.content_type) == (204, b"", None)
        assert to_response(None, 202).status == 202

    def test_a_response_stays_what_it_is(self) -> None:
        response = TextResponse("x", 418)
        assert to_response(response, 201) is response
        assert response.status == 418

    @pytest.mark.parametrize("value", [(1, 2), (), ({"a": 1}, 201), Pair(1, 2)])
    def test_a_tuple_is_refused_with_what_to_do(self, value: object) -> None:
        with pytest.raises(TypeError, match="status= of the route"):
            to_response(value)

    @pytest.mark.parametrize("value", [object(), [object()], {"a": {"b": object()}}, Exception])
    def test_what_cannot_be_encoded_is_refused_with_what_to_do(self, value: object) -> None:
        with pytest.raises(TypeError, match="cannot be encoded"):
            to_response(value)

    def test_endless_nesting_is_an_error_and_not_a_crash(self) -> None:
        value: list[object] = []
        value.append(value)
        with pytest.raises(RecursionError):
            to_response(value)

    def test_each_value_gets_a_response_of_its_own(self) -> None:
        first, second = to_response("x"), to_response("x")
        first.headers["a"] = "1"
        first.error = ValueError()
        assert dict(second.headers) == {"content-type": "text/plain; charset=utf-8"}
        assert second.error is None


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that does nothing."""


def test_a_mounted_response_knows_where_it_goes() -> None:
    response = MountedResponse(_nothing, "/sub", "/x", {"a": 1})
    assert (response.root_path, response.path, response.complete) == ("/sub", "/x", False)
    response.headers["x"] = "1"
    with pytest.raises(ValueError, match="header value"):
        response.headers["x"] = "1\r\n"


def test_fixed_fields_stand_among_the_others_in_the_order_they_came() -> None:
    first, second = FixedHeaders([("X-First", "1")]), FixedHeaders([("x-second", "2")])
    response = TextResponse("text")

    response.add_fixed(first)
    response.add_fixed(second)
    response.headers["x-third"] = "3"

    assert [name for name, _ in response.headers.multi_items()] == [
        *("content-type", "x-first", "x-second", "x-third")
    ]
    assert first.items == (("x-first", "1"),)
    assert first.wire == ((b"x-first", b"1"),)


@pytest.mark.parametrize("value", INJECTIONS)
def test_fixed_fields_are_checked_when_they_are_made(value: str) -> None:
    with pytest.raises(ValueError, match="header value"):
        FixedHeaders([("x-first", value)])


@pytest.mark.parametrize("name", ["Content-Type", "content-length"])
def test_what_is_about_a_body_is_not_fixed(name: str) -> None:
    with pytest.raises(ValueError, match="is about a body"):
        FixedHeaders([(name, "1")])


def test_fixed_fields_leave_what_is_there_and_are_not_repeated() -> None:
    fields = FixedHeaders([("x-a", "1"), ("x-b", "1"), ("link", "</one>"), ("link", "</two>")])
    response = TextResponse("text", headers={"x-a": "0"})
    kept = TextResponse("kept")

    for each in (response, response, kept, kept):
        each.add_fixed(fields)

    links = [("link", "</one>"), ("link", "</two>")]
    assert response.headers.multi_items()[1:] == [("x-a", "0"), ("x-b", "1"), *links]
    assert kept.headers.multi_items()[1:] == [("x-a", "1"), ("x-b", "1"), *links]
