from __future__ import annotations

import time
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.negotiation import (
    MediaRange,
    accepted_codings,
    best_match,
    etag_matches,
    parse_accept,
    parse_content_type,
)

TOKEN = st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1, max_size=12)
QUOTABLE = st.text([chr(c) for c in (9, *range(32, 127), 0xE9)], max_size=30)


class TestContentType:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("application/json", ("application/json", {})),
            ("Application/JSON", ("application/json", {})),
            (" text/html ", ("text/html", {})),
            ("text/html;charset=UTF-8", ("text/html", {"charset": "UTF-8"})),
            ("text/html ; Charset=utf-8 ; x=1", ("text/html", {"charset": "utf-8", "x": "1"})),
            ('text/html; a="b; c=d"; e=f', ("text/html", {"a": "b; c=d", "e": "f"})),
            (r'text/html; a="\"\\\x"', ("text/html", {"a": '"\\x'})),
            ('text/html; a=""', ("text/html", {"a": ""})),
            ("text/html; a=", ("text/html", {"a": ""})),
            ("text/html;;; a=1;", ("text/html", {"a": "1"})),
            ("text/html;", ("text/html", {})),
            ("multipart/form-data; boundary=a/b=c", ("multipart/form-data", {"boundary": "a/b=c"})),
            ("application/problem+json", ("application/problem+json", {})),
        ],
    )
    def test_a_media_type_and_its_parameters(
        self, value: str, expected: tuple[str, dict[str, str]]
    ) -> None:
        assert parse_content_type(value) == expected

    def test_the_first_of_two_parameters_wins(self) -> None:
        assert parse_content_type('a/b; x=1; X="2"') == ("a/b", {"x": "1"})

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " ",
            "text",
            "text/",
            "/html",
            "text/html/x",
            "text html",
            "text/html x",
            "te xt/a",
            ";a=1",
            "text/html, text/plain",
            "é/a",
            "a/b\0",
            "\na/b",
        ],
    )
    def test_what_is_no_media_type_is_empty(self, value: str) -> None:
        assert parse_content_type(value) == ("", {})

    @pytest.mark.parametrize(
        "value",
        [
            "a/b; x=1; =2; y=3",
            "a/b; x=1; y; z=3",
            'a/b; x=1; y="',
            'a/b; x=1; y="a\\"',
            'a/b; x=1; y="a"b',
            'a/b; x=1; y=a"b"',
            "a/b; x=1; y=2 z=3",
            "a/b; x=1; y =2",
        ],
    )
    def test_nothing_is_read_after_a_malformed_parameter(self, value: str) -> None:
        assert parse_content_type(value) == ("a/b", {"x": "1"})

    def test_the_caller_may_change_what_it_gets(self) -> None:
        parse_content_type("a/b; x=1")[1].clear()
        assert parse_content_type("a/b; x=1") == ("a/b", {"x": "1"})

    def test_parameters_are_counted(self) -> None:
        assert len(parse_content_type("a/b" + "".join(f";p{n}=1" for n in range(999)))[1]) == 32

    @pytest.mark.parametrize(
        "unit",
        [
            '\\"',
            ";",
            '"',
            "\\",
            " ",
            "\t;",
            '";',
            'a="',
            'a="\\"',
            'a=";',
            "a=;",
            "=",
            ";a=",
            ';a="b"',
            "/",
            "a",
        ],
    )
    @pytest.mark.parametrize("prefix", ["", "a/b;", 'a/b;c="', "a/b;c=", "a/b; "])
    def test_64_kilobytes_of_anything_are_quick(self, prefix: str, unit: str) -> None:
        value = prefix + unit * (65536 // len(unit))
        best = min(_seconds(value) for _ in range(3))
        assert best < 0.01

    @given(TOKEN, TOKEN, st.dictionaries(TOKEN.map(str.lower), QUOTABLE, max_size=5))
    def test_what_is_written_is_read(self, major: str, minor: str, params: dict[str, str]) -> None:
        value = f"{major}/{minor}"
        for name, text in params.items():
            value += f'; {name}="' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        assert parse_content_type(value) == (f"{major}/{minor}".lower(), params)

    @given(st.text(alphabet='ab/;="\\ \t,é', max_size=60) | st.text(max_size=60))
    def test_any_text_is_read_without_an_error(self, value: str) -> None:
        type_, params = parse_content_type(value)
        assert type_ == type_.lower()
        assert type_ or not params

    def test_the_standard_library_reads_the_same(self) -> None:
        value = 'multipart/form-data; boundary="a b"; charset=utf-8'
        message = Message()
        message["content-type"] = value
        assert parse_content_type(value)[1] == {
            "boundary": message.get_param("boundary"),
            "charset": message.get_param("charset"),
        }


class TestAccept:
    def test_ranges_come_in_order_with_their_qualities(self) -> None:
        assert parse_accept("Text/HTML;Level=1;q=0.5, text/*, */*;q=.1, a/b;q=0") == [
            MediaRange("text", "html", (("level", "1"),), 0.5),
            MediaRange("text", "*"),
            MediaRange("*", "*", (), 0.1),
            MediaRange("a", "b", (), 0.0),
        ]

    @pytest.mark.parametrize(
        "member",
        [
            "",
            "html",
            "/",
            "text/",
            "*/html",
            "text/html;q=2",
            "text/html;q=1.1",
            "text/html;q=-1",
            "text/html;q=x",
            "text/html;q=",
            "text/html;q=\u0660",
            "te xt/html",
            "text/html x",
            "text/html;q=nan",
            "text/html;q=1e0",
        ],
    )
    def test_a_malformed_member_is_skipped(self, member: str) -> None:
        assert parse_accept(f"a/b, {member}, c/d") == [MediaRange("a", "b"), MediaRange("c", "d")]

    def test_a_comma_in_quotes_separates_nothing(self) -> None:
        assert parse_accept(r'a/b;x="c, \", d/e";q=0.5, f/g') == [
            MediaRange("a", "b", (("x", 'c, ", d/e'),), 0.5),
            MediaRange("f", "g"),
        ]

    def test_a_star_alone_is_everything(self) -> None:
        assert parse_accept("*; q=.2") == [MediaRange("*", "*", (), 0.2)]

    def test_members_are_counted(self) -> None:
        assert len(parse_accept("a/b," * 1000)) == 64

    @pytest.mark.parametrize(
        "unit", [",", '"', '\\"', ";", " ", "a/b,", "a/b;q=", 'a/b;"', "*/*,", "\t,", '",', "/"]
    )
    def test_64_kilobytes_of_anything_are_quick(self, unit: str) -> None:
        header = unit * (65536 // len(unit))
        started = time.process_time()
        best_match(header, ["application/json", "text/html"])
        best_match("a/b;c=" + header, ["application/json", "text/html"])
        assert time.process_time() - started < 0.1

    @given(st.text(alphabet='ab*/;=q01."\\ ,', max_size=60) | st.text(max_size=60))
    def test_any_text_is_read_without_an_error(self, header: str) -> None:
        ranges = parse_accept(header)
        assert all(0 <= one.quality <= 1 and one.type and one.subtype for one in ranges)
        assert best_match(header, ["a/b", "b/a"]) in ("a/b", "b/a", None)

    @given(
        st.lists(
            st.builds(
                MediaRange,
                TOKEN.map(str.lower).filter(lambda token: token != "*"),
                TOKEN.map(str.lower),
                st.just(()),
                st.integers(0, 1000).map(lambda n: n / 1000),
            ),
            max_size=10,
        )
    )
    def test_what_is_written_is_read(self, ranges: list[MediaRange]) -> None:
        header = ", ".join(f"{one.type}/{one.subtype};q={one.quality:.3f}" for one in ranges)
        assert parse_accept(header) == ranges


class TestBestMatch:
    # RFC 9110 section 12.5.1, the last table.
    @pytest.mark.parametrize(
        ("offer", "quality"),
        [
            ("text/plain;format=flowed", 1.0),
            ("text/plain", 0.7),
            ("text/html", 0.3),
            ("image/jpeg", 0.5),
            ("text/plain;format=fixed", 0.4),
            ("text/html;level=3", 0.3),
        ],
    )
    def test_rfc_9110_table(self, offer: str, quality: float) -> None:
        accept = (
            "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
            "text/plain;format=fixed;q=0.4, */*;q=0.5"
        )
        better, worse = (f"x-test/probe;q={quality + d:.2f}" for d in (0.01, -0.01))
        if quality < 1:
            assert best_match(f"{accept}, {better}", [offer, "x-test/probe"]) == "x-test/probe"
        assert best_match(f"{accept}, {worse}", ["x-test/probe", offer]) == offer

    @pytest.mark.parametrize("accept", [None, "", "*/*", "*", "nonsense", ",,,", "a/b, */*"])
    def test_without_a_wish_it_is_the_first_offer(self, accept: str | None) -> None:
        assert best_match(accept, ["application/json", "text/html"]) == "application/json"

    @pytest.mark.parametrize(
        ("accept", "expected"),
        [
            ("text/html", "text/html"),
            ("TEXT/HTML", "text/html"),
            ("text/*", "text/html"),
            ("application/json;q=0.1, text/html;q=0.2", "text/html"),
            ("text/html, */*", "text/html"),
            ("*/*;q=0.9, text/html;q=0.1", "application/json"),
            ("application/json;q=0, */*", "text/html"),
            ("application/*;q=0, */*;q=0.5", "text/html"),
            ("image/png", None),
            ("*/*;q=0", None),
            ("application/json;q=0", None),
            ("application/json; charset=utf-8", "application/json"),
            ("application/json; version=2", None),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
            ("application/json, text/plain, */*", "application/json"),
        ],
    )
    def test_the_client_chooses(self, accept: str, expected: str | None) -> None:
        assert best_match(accept, ["application/json", "text/html"]) == expected

    def test_between_equals_the_first_offer_wins(self) -> None:
        assert best_match("a/b, c/d", ["c/d", "a/b"]) == "c/d"
        assert best_match("a/b, c/d", ["a/b", "c/d"]) == "a/b"

    def test_an_offer_with_parameters_is_returned_as_it_was_offered(self) -> None:
        offers = ["text/html; charset=utf-8", "application/json; version=2"]
        assert best_match("text/html;charset=UTF-8", offers) == offers[0]
        assert best_match("application/json;Version=2", offers) == offers[1]
        assert best_match("text/html;charset=latin-1", offers) is None

    def test_nothing_offered_is_nothing(self) -> None:
        assert best_match("*/*", []) is None
        assert best_match(None, []) is None

    def test_a_long_field_is_read_like_a_short_one(self) -> None:
        long = "image/png, " * 60 + "text/html"
        assert best_match(long, ["application/json", "text/html"]) == "text/html"


class TestETag:
    @pytest.mark.parametrize(
        ("header", "etag", "weak", "strong"),
        [
            # RFC 9110 section 8.8.3.2, the table.
            ('W/"1"', 'W/"1"', True, False),
            ('W/"1"', 'W/"2"', False, False),
            ('W/"1"', '"1"', True, False),
            ('"1"', 'W/"1"', True, False),
            ('"1"', '"1"', True, True),
            # Lists and everything.
            ("*", '"1"', True, True),
            (" * ", 'W/"1"', True, True),
            ('"0", "1"', '"1"', True, True),
            ('"0","1"', '"1"', True, True),
            ('"0" , W/"1" ,"2"', '"1"', True, False),
            (', ,"1",', '"1"', True, True),
            ('W/"1", "1"', '"1"', True, True),
            ('"a, b"', '"a, b"', True, True),
            ('"a", " b"', '"b"', False, False),
            ('""', '""', True, True),
            # Not what was asked for, or malformed.
            ("", '"1"', False, False),
            ("1", '"1"', False, False),
            ('"11"', '"1"', False, False),
            ('w/"1"', '"1"', False, False),
            ('"1', '"1"', False, False),
            ('x"1"', '"1"', False, False),
            ('"1"x', '"1"', False, False),
            ('"0" "1"', '"1"', False, False),
            ('*, "0"', '"1"', False, False),
            ('"a"1"b"', '"1"', False, False),
            ('"*"', '"1"', False, False),
            ('"A"', '"a"', False, False),
        ],
    )
    def test_comparison(self, header: str, etag: str, weak: bool, strong: bool) -> None:
        assert etag_matches(header, etag) is weak
        assert etag_matches(header, etag, weak=False) is strong

    @pytest.mark.parametrize("unit", ['"', '""', '"",', ",", "W/", '"x",', '"x" '])
    def test_64_kilobytes_of_anything_are_quick(self, unit: str) -> None:
        header = unit * (65536 // len(unit)) + '"wanted'
        started = time.process_time()
        etag_matches(header + '"', '"wanted"')
        etag_matches(header, '"wanted"')
        assert time.process_time() - started < 0.1

    @given(st.lists(st.text("ab, 1*/W", max_size=5), max_size=6), st.text("ab, 1*/W", max_size=5))
    def test_a_tag_is_found_exactly_when_it_is_listed(self, tags: list[str], tag: str) -> None:
        header = ", ".join(f'"{one}"' for one in tags)
        assert etag_matches(header, f'"{tag}"', weak=False) is (tag in tags)
        weak_header = ", ".join(f'W/"{one}"' for one in tags)
        assert etag_matches(weak_header, f'"{tag}"') is (tag in tags)
        assert etag_matches(weak_header, f'"{tag}"', weak=False) is False


def _seconds(value: str) -> float:
    started = time.process_time()
    parse_content_type(value)
    return time.process_time() - started


class TestCodings:
    OFFERS = ("br", "zstd", "gzip")

    @pytest.mark.parametrize(
        ("field", "expected"),
        [
            (None, ()),
            ("", ()),
            ("gzip, br", ("br", "gzip")),
            ("gzip;q=1.0, br;q=0.9", ("gzip", "br")),
            (" GZIP ; Q=0.5 ,\tbr", ("br", "gzip")),
            ("*", OFFERS),
            ("*;q=0.5, gzip", ("gzip", "br", "zstd")),
            ("gzip;q=0, *", ("br", "zstd")),
            ("identity", ()),
            ("identity;q=0.6, gzip;q=0.5, br;q=0.7", ("br",)),
            # The first of two counts, and what is malformed does not.
            ("gzip, gzip;q=0", ("gzip",)),
            ("gzip;q=2, br", ("br",)),
            ("gzip;level=9", ()),
        ],
    )
    def test_the_best_comes_first(self, field: str | None, expected: tuple[str, ...]) -> None:
        assert accepted_codings(field, self.OFFERS) == expected

    @given(st.text(" ,;=q01.*brgzipdentty-x\t", max_size=600))
    def test_no_field_breaks_the_reader(self, field: str) -> None:
        found = accepted_codings(field, self.OFFERS)

        assert len(found) == len(set(found))
        assert set(found) <= set(self.OFFERS)

    def test_a_long_field_takes_no_longer_than_its_length(self) -> None:
        began = time.process_time()
        accepted_codings("x;q=0.5," * 100_000, self.OFFERS)

        assert time.process_time() - began < 0.5
