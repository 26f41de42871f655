from __future__ import annotations

import http.cookies
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.errors import BadRequestError
from oxidite.http.cookies import (
    MAX_COOKIES,
    TooManyCookiesError,
    format_delete_cookie,
    format_set_cookie,
    parse_cookies,
)

TOKEN = st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1, max_size=20)
OCTETS = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) not in '",;\\'], max_size=40)


class TestParse:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("", {}),
            ("a=1", {"a": "1"}),
            ("a=1; b=2", {"a": "1", "b": "2"}),
            ("a=1;b=2", {"a": "1", "b": "2"}),
            ("  a =\t1 ; b= 2  ", {"a": "1", "b": "2"}),
            ("a=", {"a": ""}),
            ("a=b=c==", {"a": "b=c=="}),
            ("a=1;;; ;b=2;", {"a": "1", "b": "2"}),
            ("nonsense", {}),
            ("nonsense; a=1", {"a": "1"}),
            ("a=one two", {"a": "one two"}),
            ("$Version=1; a=1", {"$Version": "1", "a": "1"}),
        ],
    )
    def test_a_header_has_one_meaning(self, header: str, expected: dict[str, str]) -> None:
        assert parse_cookies(header) == expected

    def test_the_first_of_two_cookies_with_one_name_wins(self) -> None:
        assert parse_cookies("id=path; id=root") == {"id": "path"}

    @pytest.mark.parametrize("header", ["=__Host-x=1", " =__Host-x=1", "\t=__Host-x=1", "=", "=1"])
    def test_a_cookie_without_a_name_is_ignored(self, header: str) -> None:
        assert parse_cookies(header) == {}

    @pytest.mark.parametrize(
        "blank", ["\x0b", "\x0c", "\x1f", "\x85", "\xa0", "\u2003", "\0", "\r"]
    )
    def test_an_unusual_blank_does_not_make_a_host_cookie(self, blank: str) -> None:
        assert "__Host-x" not in parse_cookies(f"{blank}__Host-x=1; __Host-x{blank}=1")

    def test_quotes_around_a_value_are_removed(self) -> None:
        assert parse_cookies('a="x y"; b=""; c="') == {"a": "x y", "b": "", "c": '"'}

    def test_quotes_inside_a_value_stay(self) -> None:
        assert parse_cookies('a=x"y"; b="x; c=1') == {"a": 'x"y"', "b": '"x', "c": "1"}

    def test_a_semicolon_in_quotes_ends_the_value(self) -> None:
        assert parse_cookies('a="x; id=stolen; b=y"') == {"a": '"x', "id": "stolen", "b": 'y"'}

    def test_a_backslash_means_itself(self) -> None:
        assert parse_cookies(r'a="\073\"x"') == {"a": r"\073\"x"}

    def test_exactly_the_limit_is_accepted(self) -> None:
        header = "; ".join(f"c{n}=1" for n in range(MAX_COOKIES))
        assert len(parse_cookies(header)) == MAX_COOKIES

    def test_ten_thousand_cookies_are_refused(self) -> None:
        header = "; ".join(f"c{n}=1" for n in range(10_000))
        with pytest.raises(TooManyCookiesError) as caught:
            parse_cookies(header)
        assert isinstance(caught.value, BadRequestError)
        assert caught.value.code == "too_many_cookies"

    def test_repeating_one_name_does_not_get_around_the_limit(self) -> None:
        with pytest.raises(TooManyCookiesError):
            parse_cookies("a=1;" * (MAX_COOKIES + 1))

    def test_the_limit_can_be_changed(self) -> None:
        assert parse_cookies("a=1; b=2", max_cookies=2) == {"a": "1", "b": "2"}
        with pytest.raises(TooManyCookiesError):
            parse_cookies("a=1; b=2; c=3", max_cookies=2)

    def test_empty_pieces_are_not_cookies(self) -> None:
        assert parse_cookies(";" * 5000 + "a=1") == {"a": "1"}

    @pytest.mark.parametrize("unit", [";", "=", '"', " ", "a;", 'a="', "\\", "\t;"])
    def test_64_kilobytes_of_nonsense_are_quick(self, unit: str) -> None:
        header = unit * (65536 // len(unit))
        started = time.process_time()
        parse_cookies(header, max_cookies=100_000)
        assert time.process_time() - started < 0.1

    @given(st.text(max_size=400))
    def test_any_text_gives_a_dictionary(self, header: str) -> None:
        cookies = parse_cookies(header, max_cookies=1000)
        assert all(name and "=" not in name and ";" not in name for name in cookies)
        assert all(";" not in value for value in cookies.values())

    @given(st.dictionaries(TOKEN, OCTETS, max_size=20))
    def test_what_a_browser_sends_is_what_is_read(self, cookies: dict[str, str]) -> None:
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        assert parse_cookies(header) == cookies

    @given(TOKEN, OCTETS)
    def test_what_we_set_comes_back(self, name: str, value: str) -> None:
        line = format_set_cookie(name, value, secure=True)
        assert parse_cookies(line.partition(";")[0]) == {name: value}


class TestFormat:
    def test_the_defaults_are_safe(self) -> None:
        assert format_set_cookie("id", "x1") == "id=x1; Path=/; HttpOnly; SameSite=Lax"

    def test_every_attribute_is_written(self) -> None:
        line = format_set_cookie(
            "id",
            "x1",
            max_age=3600,
            expires=datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC),
            path="/app",
            domain="example.com",
            secure=True,
            samesite="None",
            partitioned=True,
        )
        assert line == (
            "id=x1; Path=/app; Domain=example.com; Max-Age=3600; "
            "Expires=Mon, 03 Feb 2031 04:05:06 GMT; Secure; HttpOnly; SameSite=None; Partitioned"
        )

    @pytest.mark.parametrize(("max_age", "written"), [(0, "0"), (0.4, "1"), (60.0, "60")])
    def test_an_age_is_whole_seconds_rounded_up(self, max_age: float, written: str) -> None:
        assert f"; Max-Age={written};" in format_set_cookie("a", "", max_age=max_age)

    def test_what_is_switched_off_is_left_out(self) -> None:
        assert format_set_cookie("id", "", path=None, httponly=False, samesite=None) == "id="

    def test_the_standard_library_reads_the_same(self) -> None:
        line = format_set_cookie("id", "x-1_2", max_age=60, path="/a", secure=True)
        morsel = http.cookies.SimpleCookie(line)["id"]
        assert (morsel.value, morsel["max-age"], morsel["path"]) == ("x-1_2", "60", "/a")
        assert morsel["secure"]
        assert morsel["httponly"]
        assert morsel["samesite"] == "Lax"

    def test_expires_is_converted_to_utc(self) -> None:
        moment = datetime(2031, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
        assert "Expires=Tue, 31 Dec 2030 23:30:00 GMT" in format_set_cookie("a", "", expires=moment)

    def test_expires_without_a_time_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            format_set_cookie("a", "", expires=datetime(2031, 1, 1))  # noqa: DTZ001

    @pytest.mark.parametrize(
        "name", ["", "a b", "a;b", "a,b", "a=b", "a\r\nb", "a\0", "é", '"a"', "a\n"]
    )
    def test_a_name_that_is_no_token_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="not a cookie name"):
            format_set_cookie(name, "1")

    @pytest.mark.parametrize(
        "value",
        [
            "a b",
            "a;b",
            "a,b",
            'a"b',
            "a\\b",
            "a\r\nSet-Cookie: x=1",
            "a\0",
            "a\n",
            "\x7f",
            "é",
            "日本",
        ],
    )
    def test_a_value_that_would_break_the_header_is_refused(self, value: str) -> None:
        with pytest.raises(ValueError, match="encode it") as caught:
            format_set_cookie("id", value)
        assert value not in str(caught.value)

    @pytest.mark.parametrize(
        "attributes",
        [
            {"path": "/a;b"},
            {"path": "/a\r\nX: 1"},
            {"path": "/a\0"},
            {"path": "/é"},
            {"path": "relative"},
            {"path": ""},
            {"path": "/" + "a" * 1024},
            {"domain": "a b"},
            {"domain": "a;b"},
            {"domain": "a\r\n"},
            {"domain": ""},
            {"domain": "."},
            {"domain": "-a.com"},
            {"domain": "a.com/x"},
            {"domain": "münchen.de"},
            {"samesite": "lax"},
            {"samesite": "Lax\r\nX: 1"},
            {"max_age": -1},
            {"max_age": float("nan")},
            {"max_age": float("inf")},
        ],
    )
    def test_an_attribute_that_is_not_allowed_is_refused(self, attributes: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="cookie"):
            format_set_cookie("id", "1", **attributes)

    @pytest.mark.parametrize("attributes", [{"samesite": "None"}, {"partitioned": True}])
    def test_what_browsers_accept_only_when_secure_needs_secure(
        self, attributes: dict[str, Any]
    ) -> None:
        with pytest.raises(ValueError, match="secure=True"):
            format_set_cookie("id", "1", **attributes)
        assert "; Secure" in format_set_cookie("id", "1", secure=True, **attributes)

    @pytest.mark.parametrize("name", ["__Host-id", "__host-ID", "__Secure-id", "__SECURE-id"])
    def test_a_prefix_needs_secure(self, name: str) -> None:
        with pytest.raises(ValueError, match="secure=True"):
            format_set_cookie(name, "1")
        assert format_set_cookie(name, "1", secure=True).startswith(f"{name}=1; Path=/; Secure")

    @pytest.mark.parametrize("attributes", [{"path": "/app"}, {"path": None}, {"domain": "a.com"}])
    def test_the_host_prefix_needs_the_root_path_and_no_domain(
        self, attributes: dict[str, Any]
    ) -> None:
        with pytest.raises(ValueError, match="__Host-"):
            format_set_cookie("__Host-id", "1", secure=True, **attributes)
        assert format_set_cookie("__Secure-id", "1", secure=True, **attributes)

    def test_a_cookie_that_browsers_would_drop_is_refused(self) -> None:
        assert format_set_cookie("id", "x" * 4094)
        with pytest.raises(ValueError, match="4097 bytes"):
            format_set_cookie("id", "x" * 4095)

    @given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=20), st.text(max_size=20))
    def test_nothing_that_is_emitted_breaks_a_header(
        self, name: str, value: str, path: str, domain: str
    ) -> None:
        try:
            line = format_set_cookie(name, value, path="/" + path, domain=domain)
        except ValueError:
            return
        assert line.isascii()
        assert line.isprintable()
        assert line.count(";") == 4


class TestDelete:
    def test_a_deleted_cookie_is_in_the_past(self) -> None:
        assert format_delete_cookie("id", path="/app", domain="a.com") == (
            "id=; Path=/app; Domain=a.com; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
            "HttpOnly; SameSite=Lax"
        )

    @pytest.mark.parametrize("name", ["__Host-id", "__Secure-id"])
    def test_a_cookie_with_a_prefix_can_be_deleted(self, name: str) -> None:
        assert "; Secure" in format_delete_cookie(name)

    @pytest.mark.parametrize("attributes", [{"samesite": "None"}, {"partitioned": True}])
    def test_deleting_adds_secure_where_it_is_demanded(self, attributes: dict[str, Any]) -> None:
        assert "; Secure" in format_delete_cookie("id", **attributes)
