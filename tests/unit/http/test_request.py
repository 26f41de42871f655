from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.encoding import MismatchError
from oxidite.errors import (
    BadRequestError,
    HTTPError,
    InvalidPathError,
    OxiditeError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from oxidite.http.body import ClientDisconnectError
from oxidite.http.cookies import TooManyCookiesError
from oxidite.http.headers import Headers
from oxidite.http.request import DEFAULT_MAX_BODY, Address, InvalidJSONError, Request
from oxidite.lifespan import Lifespan


class Wired(Request):
    """A request whose body comes in pieces, as from a server."""

    async def _receive(self) -> AsyncIterator[bytes]:
        for piece in self._source:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def wired(*pieces: bytes | Exception, max_body: int = 100, **headers: str) -> Wired:
    return Wired(
        "POST",
        "/",
        Lifespan(),
        max_body,
        _source=iter(pieces),
        _headers=Headers((name.replace("_", "-"), value) for name, value in headers.items()),
    )


class Item(msgspec.Struct):
    name: str
    count: int = 0


class TestWhatItTells:
    def test_it_can_be_made_in_memory(self) -> None:
        request = Request.of(
            "POST", "/posts/1?a=1&b=2", headers={"X-One": "1", "Cookie": "sid=7"}, body=b"{}"
        )
        assert (request.method, request.path, request.query_string) == (
            "POST",
            "/posts/1",
            "a=1&b=2",
        )
        assert request.query.get("b") == "2"
        assert request.headers["x-one"] == "1"
        assert request.cookies == {"sid": "7"}
        assert request.http_version == "1.1"
        assert request.client is None
        assert request.raw_path is None
        assert request.route is None
        assert request.params == {}
        assert request.max_body == DEFAULT_MAX_BODY

    def test_headers_may_be_pairs_so_that_fields_repeat(self) -> None:
        request = Request.of("GET", headers=[("X", "1"), ("x", "2")])
        assert request.headers.get_all("x") == ["1", "2"]

    def test_the_url_is_as_the_client_sees_it(self) -> None:
        request = Request.of("GET", "/a b?q=%20", headers={"host": "example.com:8080"})
        assert str(request.url) == "http://example.com:8080/a%20b?q=%20"
        request.root_path = "/app"
        assert request.url.path == "/app/a%20b"

    def test_without_a_host_the_url_is_local(self) -> None:
        assert str(Request.of("GET", "/").url) == "http://localhost/"

    @pytest.mark.parametrize(
        "host",
        [
            "a b",
            "evil.com/",
            "user@evil.com",
            "a\x00b",
            "a\r\nb",
            "[::1",
            "x:99999",
            "a,b",
            "\\evil",
        ],
    )
    def test_a_host_that_is_none_is_a_bad_request(self, host: str) -> None:
        request = Request.of("GET", "/", headers={"host": host})
        with pytest.raises(BadRequestError):
            _ = request.url

    @pytest.mark.parametrize("path", ["@evil.com/", "evil.com", ":80@evil.com", "http://evil.com/"])
    def test_a_path_can_never_become_the_host(self, path: str) -> None:
        # Starlette CVE-2026-54282
        request = Request.of("GET", path, headers={"host": "good.com"})
        with pytest.raises(InvalidPathError):
            _ = request.url

    @pytest.mark.parametrize("path", ["//evil.com/", "/\\evil.com", "/@evil.com", "/..//evil.com"])
    def test_a_path_that_looks_like_a_host_leaves_the_host_alone(self, path: str) -> None:
        url = Request.of("GET", path, headers={"host": "good.com"}).url
        assert url.host == "good.com"
        assert str(url).startswith("http://good.com/")

    def test_cookies_of_several_fields_are_one(self) -> None:
        request = Request.of("GET", headers=[("cookie", "a=1"), ("cookie", "b=2; a=3")])
        assert request.cookies == {"a": "1", "b": "2"}

    def test_too_many_cookies_are_a_bad_request(self) -> None:
        request = Request.of("GET", headers={"cookie": "; ".join(f"c{i}=1" for i in range(10_000))})
        with pytest.raises(TooManyCookiesError):
            _ = request.cookies

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("Text/HTML; Charset=x", "text/html"),
            ("application/json", "application/json"),
            ("nonsense", ""),
            ("", ""),
        ],
    )
    def test_the_content_type_is_lower_case_and_bare(self, value: str, expected: str) -> None:
        assert Request.of("POST", headers={"content-type": value}).content_type == expected

    def test_without_one_the_content_type_is_none(self) -> None:
        assert Request.of("POST").content_type is None

    def test_state_is_one_dictionary_per_request(self) -> None:
        first, second = Request.of("GET"), Request.of("GET")
        first.state["a"] = 1
        assert first.state == {"a": 1}
        assert second.state == {}

    def test_params_cannot_be_changed_for_everybody(self) -> None:
        params: Any = Request.of("GET").params
        with pytest.raises(TypeError):
            params["a"] = 1

    def test_the_repr_has_no_query_no_header_and_no_body(self) -> None:
        request = Request.of("GET", "/x?token=hunter2", headers={"a": "hunter2"}, body=b"hunter2")
        assert repr(request) == "<Request GET /x>"

    def test_two_requests_are_never_equal_and_can_be_kept_in_a_set(self) -> None:
        first, second = Request.of("GET"), Request.of("GET")
        assert first != second
        assert len({first, second, first}) == 2

    def test_it_can_be_referenced_weakly_and_goes_when_nobody_holds_it(self) -> None:
        request = Request.of("GET", "/?a=1", headers={"cookie": "a=1"})
        _ = request.query, request.cookies, request.state, request.scopes
        reference = weakref.ref(request)
        del request
        gc.collect()
        assert reference() is None

    def test_an_address_has_names(self) -> None:
        assert Address("::1", 80).host == "::1"


class TestBody:
    async def test_pieces_are_joined_and_kept(self) -> None:
        request = wired(b"ab", b"", b"cd")
        assert await request.body() == b"abcd"
        assert await request.body() == b"abcd"
        assert [chunk async for chunk in request.stream()] == [b"abcd"]

    async def test_it_is_streamed_as_it_comes(self) -> None:
        assert [chunk async for chunk in wired(b"a", b"b").stream()] == [b"a", b"b"]

    async def test_it_can_be_streamed_once_because_nothing_keeps_it(self) -> None:
        request = wired(b"a", b"b")
        assert await anext(request.stream()) == b"a"
        with pytest.raises(RuntimeError, match=r"await request.body\(\)"):
            await request.body()
        with pytest.raises(RuntimeError, match=r"await request.body\(\)"):
            await anext(request.stream())

    async def test_an_announced_size_over_the_limit_is_refused_before_reading(self) -> None:
        request = wired(AssertionError("read"), max_body=3, content_length="4")
        with pytest.raises(PayloadTooLargeError) as caught:
            await request.body()
        assert caught.value.limit == 3
        assert caught.value.headers["connection"] == "close"
        with pytest.raises(PayloadTooLargeError):
            await anext(request.stream())

    async def test_an_announced_size_at_the_limit_is_read(self) -> None:
        assert await wired(b"abc", max_body=3, content_length="3").body() == b"abc"

    async def test_a_body_that_announces_nothing_is_cut_at_the_limit(self) -> None:
        request = wired(b"ab", b"cd", AssertionError("read on"), max_body=3)
        chunks = request.stream()
        assert await anext(chunks) == b"ab"
        with pytest.raises(PayloadTooLargeError) as caught:
            await anext(chunks)
        assert caught.value.limit == 3

    async def test_a_body_larger_than_announced_is_cut_at_the_limit(self) -> None:
        with pytest.raises(PayloadTooLargeError):
            await wired(b"abcd", max_body=3, content_length="1").body()

    @pytest.mark.parametrize("length", ["-1", "5, 5", "x", "", "1e3", "9" * 50])
    async def test_a_length_that_is_none_is_a_bad_request(self, length: str) -> None:
        with pytest.raises(BadRequestError) as caught:
            await wired(AssertionError("read"), content_length=length).body()
        assert caught.value.status == 400

    async def test_a_client_that_goes_away_half_way_is_told_of(self) -> None:
        request = wired(b"ab", ClientDisconnectError())
        with pytest.raises(ClientDisconnectError):
            await request.body()

    async def test_a_body_in_memory_over_the_limit_is_not_streamed(self) -> None:
        request = Request.of("POST", body=b"abcd")
        request.max_body = 3
        with pytest.raises(PayloadTooLargeError):
            await anext(request.stream())


class TestJSON:
    async def test_it_is_decoded_as_anything_or_as_a_type(self) -> None:
        request = Request.of("POST", body=b'{"name": "a", "count": 2}')
        assert await request.json() == {"name": "a", "count": 2}
        assert await request.json(Item) == Item("a", 2)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"{",
            b'{"a":1,}',
            b"{'a': 1}",
            b"[1, 2",
            b"nul",
            b"NaN",
            b"Infinity",
            b'"\xff"',
            b"\x00",
            b"\xef\xbb\xbf{}",
            b"{} {}",
            b"[" * 100_000,
            b'"\\ud800',
        ],
    )
    async def test_what_is_no_json_is_a_bad_request(self, body: bytes) -> None:
        with pytest.raises(InvalidJSONError) as caught:
            await Request.of("POST", body=body).json()
        assert (caught.value.status, caught.value.code) == (400, "invalid_json")

    async def test_json_of_another_shape_is_a_mismatch(self) -> None:
        with pytest.raises(MismatchError) as caught:
            await Request.of("POST", body=b'{"name": 1}').json(Item)
        assert [problem.pointer for problem in caught.value.problems] == ["/name"]

    async def test_of_duplicate_keys_the_last_wins(self) -> None:
        assert await Request.of("POST", body=b'{"a": 1, "a": 2}').json() == {"a": 2}

    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_value_or_a_bad_request(self, body: bytes) -> None:
        async def read() -> int:
            try:
                await Request.of("POST", body=body).json()
            except HTTPError as exc:
                return exc.status
            return 200

        assert asyncio.run(read()) in (200, 400)


class TestForm:
    async def test_a_form_is_read_once_and_kept(self) -> None:
        request = wired(b"a=1&", b"b=2", content_type="application/x-www-form-urlencoded")
        form = await request.form()
        assert form.get("b") == "2"
        assert await request.form() is form

    async def test_a_multipart_form_is_closed_with_the_request(self) -> None:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
            b"hello\r\n--x--\r\n"
        )
        request = wired(
            body[:30], body[30:], max_body=1000, content_type="multipart/form-data; boundary=x"
        )
        form = await request.form()
        upload: Any = form.get("f")
        assert await upload.read() == b"hello"
        await request.scopes.stream.aclose()
        with pytest.raises((ValueError, OxiditeError)):
            await upload.read()

    async def test_a_multipart_form_can_be_read_after_the_body_was(self) -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
        request = wired(body, max_body=1000, content_type="multipart/form-data; boundary=x")
        assert await request.body() == body
        assert (await request.form()).get("a") == "1"
        await request.scopes.stream.aclose()

    @pytest.mark.parametrize(
        "kind", ["application/json", "text/plain", "", "nonsense", "multipart/mixed"]
    )
    async def test_another_type_is_not_a_form(self, kind: str) -> None:
        with pytest.raises(UnsupportedMediaTypeError) as caught:
            await wired(b"a=1", content_type=kind).form()
        assert "multipart/form-data" in caught.value.headers["accept"]

    async def test_no_type_is_not_a_form(self) -> None:
        with pytest.raises(UnsupportedMediaTypeError, match="without Content-Type"):
            await wired(b"a=1").form()

    @pytest.mark.parametrize(
        ("kind", "start"),
        [
            ("application/x-www-form-urlencoded", b"a="),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n',
            ),
        ],
    )
    async def test_a_form_over_the_limit_is_cut(self, kind: str, start: bytes) -> None:
        with pytest.raises(PayloadTooLargeError):
            await wired(start, b"1" * 101, AssertionError("read on"), content_type=kind).form()


class TestAfter:
    def test_nothing_is_left_for_later_at_first(self) -> None:
        assert Request.of("GET").after is None

    def test_work_is_kept_in_order_with_its_arguments(self) -> None:
        request, got = Request.of("GET"), list[object]()
        request.after_response(got.append, 1)
        request.after_response(got.extend, [2, 3])
        assert request.after is not None
        assert got == []
        for work in request.after:
            work()
        assert got == [1, 2, 3]
