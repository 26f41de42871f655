from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http import headers as module
from oxidite.http.headers import Headers, MutableHeaders

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F) if chr(code) != "\t"]
BREAKING = [f"a{control}b" for control in CONTROLS]
INJECTIONS = [
    "x\r\nset-cookie: admin=1",
    "x\nset-cookie: admin=1",
    "x\rset-cookie: admin=1",
    "x\r\n\r\n<script>",
    "x\x00",
    "\r\n x",
]
BAD_NAMES = [
    "",
    " ",
    "a b",
    "a:",
    ":path",
    "a\r\nb",
    "a\x00",
    "ä",
    "(a)",
    "a/b",
    "a\t",
    "İ",
    "\u212a",
]

TOKEN = st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1, max_size=20)
VALUE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)


class TestReading:
    def test_lookup_ignores_case(self) -> None:
        headers = Headers([("content-type", "text/plain")])
        assert headers["Content-Type"] == headers["content-type"] == "text/plain"
        assert headers.get("CONTENT-TYPE") == "text/plain"
        assert "Content-TYPE" in headers

    def test_a_repeated_field_gives_its_first_value(self) -> None:
        headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
        assert headers["a"] == "1"
        assert headers.get_all("A") == ["1", "3"]
        assert headers.multi_items() == [("a", "1"), ("b", "2"), ("a", "3")]

    def test_it_is_a_mapping_of_distinct_names(self) -> None:
        headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
        assert list(headers) == ["a", "b"]
        assert len(headers) == 2
        assert dict(headers) == {"a": "1", "b": "2"}

    def test_a_missing_field_is_a_key_error_or_the_default(self) -> None:
        headers = Headers()
        with pytest.raises(KeyError):
            headers["a"]
        assert headers.get("a") is None
        assert headers.get("a", "x") == "x"
        assert headers.get_all("a") == []
        assert "a" not in headers
        number: Any = 7
        assert number not in headers

    def test_an_empty_value_is_there(self) -> None:
        headers = Headers([("a", "")])
        assert "a" in headers
        assert headers["a"] == ""

    def test_equality_is_by_fields_and_not_by_their_order(self) -> None:
        assert Headers([("a", "1"), ("b", "2")]) == Headers([("b", "2"), ("a", "1")])
        assert Headers([("a", "1")]) != Headers([("a", "1"), ("a", "1")])
        assert (Headers([("a", "1")]) == [("a", "1")]) is False

    def test_it_cannot_be_hashed(self) -> None:
        with pytest.raises(TypeError):
            hash(Headers())

    def test_the_repr_has_no_values(self) -> None:
        headers = Headers([("authorization", "Bearer hunter2"), ("cookie", "sid=hunter2")])
        assert repr(headers) == "Headers(authorization, cookie)"

    def test_ten_thousand_copies_of_one_field_cost_linear_time(self) -> None:
        headers = Headers([("x", str(index)) for index in range(10_000)])
        began = time.process_time()
        assert headers["x"] == "0"
        assert len(headers.get_all("x")) == 10_000
        assert len(headers) == 1
        assert time.process_time() - began < 0.5


class TestWriting:
    def test_names_become_lower_case(self) -> None:
        headers = MutableHeaders({"X-One": "1"})
        headers["X-Two"] = "2"
        headers.add("X-Three", "3")
        assert headers.multi_items() == [("x-one", "1"), ("x-two", "2"), ("x-three", "3")]

    def test_setting_replaces_every_field_of_that_name(self) -> None:
        headers = MutableHeaders([("a", "1"), ("b", "2"), ("A", "3")])
        headers["A"] = "4"
        assert headers.multi_items() == [("b", "2"), ("a", "4")]

    def test_what_was_read_before_a_change_is_not_kept(self) -> None:
        headers = MutableHeaders({"a": "1"})
        assert headers["a"] == "1"
        headers["a"] = "2"
        assert headers["a"] == "2"
        headers.add("b", "3")
        assert headers["b"] == "3"
        del headers["a"]
        assert "a" not in headers
        headers.pop("b")
        assert "b" not in headers

    def test_deleting_removes_every_field_and_a_missing_one_is_a_key_error(self) -> None:
        headers = MutableHeaders([("a", "1"), ("a", "2")])
        del headers["A"]
        assert headers.multi_items() == []
        with pytest.raises(KeyError):
            del headers["a"]

    def test_setdefault_keeps_what_is_there(self) -> None:
        headers = MutableHeaders({"a": ""})
        assert headers.setdefault("A", "2") == ""
        assert headers.setdefault("b", "2") == "2"
        assert dict(headers) == {"a": "", "b": "2"}

    def test_pop_returns_the_first_value_and_removes_all(self) -> None:
        headers = MutableHeaders([("a", "1"), ("a", "2")])
        assert headers.pop("A") == "1"
        assert headers.pop("a") is None
        assert headers.pop("a", "x") == "x"
        assert not headers

    def test_add_keeps_those_of_the_same_name(self) -> None:
        headers = MutableHeaders()
        headers.add("set-cookie", "a=1")
        headers.add("Set-Cookie", "b=2")
        assert headers.get_all("set-cookie") == ["a=1", "b=2"]

    def test_update_sets_every_field(self) -> None:
        headers = MutableHeaders([("a", "1"), ("a", "2"), ("b", "3")])
        headers.update({"A": "4", "c": "5"})
        assert sorted(headers.multi_items()) == [("a", "4"), ("b", "3"), ("c", "5")]

    def test_update_with_headers_keeps_their_repeated_fields(self) -> None:
        # Two cookies of another response must not become one.
        other = Headers([("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x", "1")])
        headers = MutableHeaders({"x": "0", "set-cookie": "old=1"})
        headers.update(other)
        assert headers.get_all("set-cookie") == ["a=1", "b=2"]
        assert headers.get_all("x") == ["1"]

    def test_a_copy_of_headers_has_their_repeated_fields(self) -> None:
        other = Headers([("set-cookie", "a=1"), ("set-cookie", "b=2")])
        assert MutableHeaders(other).get_all("set-cookie") == ["a=1", "b=2"]

    def test_update_with_itself_changes_nothing(self) -> None:
        headers = MutableHeaders([("a", "1"), ("a", "2")])
        headers.update(headers)
        assert headers.multi_items() == [("a", "1"), ("a", "2")]


class TestVary:
    def test_the_first_name_makes_the_field(self) -> None:
        headers = MutableHeaders()
        headers.add_vary("accept")
        assert headers["vary"] == "accept"

    def test_names_are_added_once_whatever_their_case(self) -> None:
        headers = MutableHeaders({"vary": "Accept"})
        headers.add_vary("accept", "Origin")
        headers.add_vary("ORIGIN")
        assert headers["vary"] == "Accept, Origin"

    def test_one_call_with_a_name_twice_adds_it_once(self) -> None:
        headers = MutableHeaders()
        headers.add_vary("Cookie", "cookie")
        assert headers["vary"] == "Cookie"

    def test_blanks_and_several_fields_are_understood(self) -> None:
        headers = MutableHeaders([("vary", "  Cookie ,Accept"), ("vary", "Origin")])
        headers.add_vary("accept", "cookie", "origin")
        assert headers.get_all("vary") == ["Cookie, Accept, Origin"]

    def test_a_star_swallows_everything(self) -> None:
        headers = MutableHeaders({"vary": "*"})
        headers.add_vary("accept")
        assert headers["vary"] == "*"
        headers = MutableHeaders({"vary": "accept"})
        headers.add_vary("*")
        assert headers["vary"] == "*"


class TestInjection:
    @pytest.mark.parametrize("value", [*BREAKING, *INJECTIONS, "\u2028", "\ud800", "€", "日本"])
    def test_a_value_that_could_break_a_message_is_refused_by_every_way_in(
        self, value: str
    ) -> None:
        headers = MutableHeaders()
        with pytest.raises(ValueError, match="header value"):
            headers["x"] = value
        with pytest.raises(ValueError, match="header value"):
            headers.add("x", value)
        with pytest.raises(ValueError, match="header value"):
            headers.setdefault("x", value)
        with pytest.raises(ValueError, match="header value"):
            headers.update({"x": value})
        with pytest.raises(ValueError, match="header value"):
            headers.update(Headers([("x", value)]))
        with pytest.raises(ValueError, match="header value"):
            headers.add_vary(value)
        with pytest.raises(ValueError, match="header value"):
            MutableHeaders({"x": value})
        with pytest.raises(ValueError, match="header value"):
            MutableHeaders([("x", value)])
        with pytest.raises(ValueError, match="header value"):
            MutableHeaders(Headers([("x", value)]))
        assert headers.multi_items() == []

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_name_that_is_not_a_token_is_refused_by_every_way_in(self, name: str) -> None:
        headers = MutableHeaders()
        with pytest.raises(ValueError, match="header name"):
            headers[name] = "1"
        with pytest.raises(ValueError, match="header name"):
            headers.add(name, "1")
        with pytest.raises(ValueError, match="header name"):
            headers.setdefault(name, "1")
        with pytest.raises(ValueError, match="header name"):
            headers.update({name: "1"})
        with pytest.raises(ValueError, match="header name"):
            MutableHeaders([(name, "1")])
        assert headers.multi_items() == []

    def test_a_refused_value_leaves_the_old_one(self) -> None:
        headers = MutableHeaders({"x": "1"})
        with pytest.raises(ValueError, match="header value"):
            headers["x"] = "2\r\n"
        assert headers["x"] == "1"

    @pytest.mark.parametrize("value", ["", "a b", "a\tb", "caf\xe9", '"q"; a=1, b', "\xff"])
    def test_what_rfc_9110_allows_is_kept_as_it_is(self, value: str) -> None:
        headers = MutableHeaders({"x": value})
        assert headers["x"] == value

    def test_the_message_does_not_repeat_a_long_value(self) -> None:
        with pytest.raises(ValueError, match="header value") as caught:
            MutableHeaders({"x": "s3cret" * 1000 + "\n"})
        assert "s3cret" not in str(caught.value)

    @given(TOKEN, VALUE)
    def test_whatever_is_accepted_cannot_break_a_message(self, name: str, value: str) -> None:
        headers = MutableHeaders({name: value})
        ((stored, text),) = headers.multi_items()
        line = stored.encode() + b": " + text.encode("latin-1")
        assert not set(line) & {0, 10, 13}
        assert stored == name.lower()

    @given(st.text(max_size=8), st.text(max_size=20))
    def test_any_text_is_either_refused_or_harmless(self, name: str, value: str) -> None:
        headers = MutableHeaders()
        try:
            headers[name] = value
        except ValueError:
            assert headers.multi_items() == []
            return
        ((stored, text),) = headers.multi_items()
        assert not set(stored.encode() + text.encode("latin-1")) & {0, 10, 13}

    def test_names_made_from_data_do_not_fill_the_memory(self) -> None:
        headers = MutableHeaders()
        for index in range(3000):
            headers[f"x-made-up-{index}"] = "1"
        assert len(module._names) <= module._NAMES_KEPT
        assert len(headers) == 3000
