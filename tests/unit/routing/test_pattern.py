from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, NewType
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from oxidite import Path
from oxidite.errors import RouteError
from oxidite.routing.pattern import CONVERTERS, Param, Pattern, converter_for
from oxidite.routing.tree import Tree


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Odd(Enum):
    SLASH = "a/b"
    UP = ".."


UserId = NewType("UserId", int)


def refused(path: str) -> str:
    with pytest.raises(RouteError) as caught:
        Pattern.parse(path)
    return caught.value.message


def accepts(name: str, text: str) -> bool:
    try:
        CONVERTERS[name].parse(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/a/{b}", "/a/{b:int}/c", "/{rest:path}", "/café", "/a//b"]
)
def test_a_pattern_is_written_as_it_was_read(path: str) -> None:
    assert str(Pattern.parse(path)) == path


def test_the_parameters_are_known_in_order_with_their_types() -> None:
    pattern = Pattern.parse("/{a:int}/x/{b:date}/{c}")

    assert [param.name for param in pattern.params] == ["a", "b", "c"]
    assert pattern.types() == {"a": int, "b": date, "c": str}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a", "The path 'a' must start with '/'."),
        ("/{id}/{id}", "has 'id' twice"),
        ("/{rest:path}/x", "{rest:path} takes all that is left, so it must be last"),
        ("/{id:imt}", "there is no converter 'imt'. Known: int, float, decimal, date, uuid, str"),
        ("/{id:}", "there is no converter ''"),
        ("/{}", "'' is not a name"),
        ("/{1a}", "'1a' is not a name"),
        ("/x{id}", "'x{id}' is neither plain text nor one parameter such as {id:int}"),
        ("/{id}.txt", "'{id}.txt' is neither plain text nor one parameter"),
        ("/{a}{b}", "'{a}{b}' is neither plain text nor one parameter"),
        ("/{a", "'{a' is neither plain text nor one parameter"),
        ("/a}", "'a}' is neither plain text nor one parameter"),
        ("/{{a}}", "is neither plain text nor one parameter"),
    ],
)
def test_a_path_that_is_no_pattern_is_refused_with_the_reason(path: str, message: str) -> None:
    assert message in refused(path)


def test_an_unknown_converter_says_how_an_enum_is_written() -> None:
    assert "an enum is written {colour} and annotated in the handler" in refused("/{colour:Colour}")


@pytest.mark.parametrize(
    ("prefix", "path", "whole"),
    [
        ("", "/", "/"),
        ("", "/a", "/a"),
        ("/a", "/", "/a"),
        ("/a", "", "/a"),
        ("/a", "/b", "/a/b"),
        ("/a/", "/b", "/a/b"),
        ("/a/", "/", "/a/"),
        ("/a", "/b/", "/a/b/"),
        ("/{a}", "/{b}", "/{a}/{b}"),
    ],
)
def test_patterns_are_joined_with_one_slash(prefix: str, path: str, whole: str) -> None:
    assert str(Pattern.parse(prefix) + Pattern.parse(path)) == whole


def test_patterns_that_cannot_be_joined_are_refused() -> None:
    with pytest.raises(RouteError, match="has 'id' twice"):
        _ = Pattern.parse("/{id}") + Pattern.parse("/{id}")
    with pytest.raises(RouteError, match="it must be last"):
        _ = Pattern.parse("/{rest:path}") + Pattern.parse("/x")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("int", ["0", "42", "-7", "007", "9" * 40], ["", "+1", "1.0", "1_0", " 1", "1 ", "٣", "x"]),
        ("float", ["1", "1.5", "-0.25", "007.5"], ["", ".5", "1.", "1e5", "inf", "nan", "1_0.0"]),
        ("decimal", ["1", "1.50", "-3"], ["", "1e5", "NaN", "Infinity", " 1"]),
        ("date", ["2024-02-29"], ["2023-02-29", "20240229", "2024-2-9", "24-02-29", "0000-01-01"]),
        (
            "uuid",
            ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000A"],
            ["0" * 32, "{00000000-0000-0000-0000-000000000000}", "urn:uuid:" + "0" * 32, ""],
        ),
        ("str", ["a", "a b", "...", "é", "%41", "a;b"], ["", ".", ".."]),
        ("path", ["", ".", "..", "a/b", "//", "../x"], []),
    ],
)
def test_a_converter_takes_exactly_its_own_texts(
    name: str, good: list[str], bad: list[str]
) -> None:
    assert [text for text in good if not accepts(name, text)] == []
    assert [text for text in bad if accepts(name, text)] == []


def test_a_number_of_very_many_digits_is_no_number() -> None:
    assert not accepts("int", "9" * 100_000)
    assert not accepts("decimal", "9" * 100_000)


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (float, "float"),
        (Decimal, "decimal"),
        (date, "date"),
        (UUID, "uuid"),
        (str, "str"),
        (bool, "str"),
        (datetime, "str"),
        (int | None, "int"),
        (Path[UserId] | None, "int"),
        (Path[int], "int"),
        (Annotated[UUID, Meta(description="which")], "uuid"),
        (UserId, "int"),
        (Path[Colour], "Colour"),
        (Level, "Level"),
    ],
)
def test_a_parameter_without_a_converter_gets_that_of_its_annotation(
    annotation: object, name: str
) -> None:
    assert converter_for(annotation).name == name


def test_an_enum_takes_its_values_and_nothing_else() -> None:
    converter = converter_for(Colour)

    assert converter.parse("red") is Colour.RED
    assert converter.format(Colour.BLUE) == "blue"
    assert converter_for(Level).parse("1") is Level.LOW
    for text in ("RED", "Colour.RED", "green", "red "):
        with pytest.raises(ValueError, match=text):
            converter.parse(text)


def test_an_enum_whose_value_is_no_segment_makes_no_url() -> None:
    converter = converter_for(Odd)

    with pytest.raises(ValueError, match="cannot be one segment"):
        converter.format(Odd.SLASH)
    with pytest.raises(ValueError, match="cannot be one segment"):
        converter.format(Odd.UP)
    with pytest.raises(ValueError, match=r"\.\."):
        converter.parse("..")


@pytest.mark.parametrize(
    ("path", "values", "url"),
    [
        ("/", {}, "/"),
        ("", {}, "/"),
        ("/café/{x}", {"x": "a b/?#%".replace("/", "")}, "/caf%C3%A9/a%20b%3F%23%25"),
        ("/{id:int}", {"id": -3}, "/-3"),
        ("/{id:int}", {"id": Level.LOW}, "/1"),
        ("/{x:float}", {"x": 3}, "/3"),
        ("/{x:float}", {"x": 1.5}, "/1.5"),
        ("/{x:decimal}", {"x": Decimal("1E+2")}, "/100"),
        ("/{d:date}", {"d": date(2024, 1, 2)}, "/2024-01-02"),
        ("/{d:date}", {"d": datetime(2024, 1, 2, 3, tzinfo=UTC)}, "/2024-01-02"),
        ("/{u:uuid}", {"u": UUID(int=1)}, "/00000000-0000-0000-0000-000000000001"),
        ("/f/{p:path}", {"p": "a/b c"}, "/f/a/b%20c"),
        ("/f/{p:path}", {"p": ""}, "/f/"),
    ],
)
def test_a_url_has_the_values_encoded(path: str, values: dict[str, object], url: str) -> None:
    assert Pattern.parse(path).typed({}).url(values) == url


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/{v:int}", True),
        ("/{v:int}", "3"),
        ("/{v:int}", None),
        ("/{v:float}", math.nan),
        ("/{v:float}", math.inf),
        ("/{v:float}", 1e300),
        ("/{v:float}", "1"),
        ("/{v:decimal}", Decimal("NaN")),
        ("/{v:date}", "2024-01-02"),
        ("/{v:uuid}", "x"),
        ("/{v}", ""),
        ("/{v}", "."),
        ("/{v}", ".."),
        ("/{v}", "a/b"),
        ("/{v}", 3),
        ("/{v:path}", "a/../b"),
        ("/{v:path}", "."),
        ("/{v:path}", 3),
    ],
)
def test_a_value_that_does_not_fit_the_path_is_refused_by_name(path: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"^v: "):
        Pattern.parse(path).typed({}).url({"v": value})


def test_a_url_never_starts_with_two_slashes() -> None:
    # A browser would take what follows for a host.
    url = Pattern.parse("/{p:path}").url({"p": "/evil.example/x"})

    assert url == "/%2Fevil.example/x"
    assert unquote(url) == "//evil.example/x"


segments = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\x00\ufffd"), min_size=1
).filter(lambda text: text not in (".", ".."))
VALUES = {
    "int": st.integers(-(10**30), 10**30),
    "float": st.floats(-1e15, 1e15).filter(lambda x: "e" not in repr(x)),
    "decimal": st.decimals(-(10**15), 10**15, places=3),
    "date": st.dates(),
    "uuid": st.uuids(),
    "str": segments,
    "path": st.lists(segments | st.just(""), max_size=4).map("/".join),
}


@given(st.lists(st.sampled_from(sorted(VALUES)) | segments, min_size=1, max_size=4), st.data())
def test_a_url_leads_back_to_its_route_and_its_values(
    kinds: list[str], data: st.DataObject
) -> None:
    parts: list[str | Param] = []
    values: dict[str, object] = {}
    for kind in kinds:
        if kind in VALUES and not (kind == "path" and len(parts) + 1 < len(kinds)):
            name = f"p{len(parts)}"
            parts.append(Param(name, CONVERTERS[kind]))
            values[name] = data.draw(VALUES[kind])
        else:
            parts.append(kind)
    tree: Tree[str] = Tree()
    tree.add(Pattern(tuple(parts)), ("GET",), "route")

    url = Pattern(tuple(parts)).url(values)
    match = tree.find(unquote(url), "GET")

    assert url.isascii()
    assert not url.startswith("//")
    assert (match.route, match.params) == ("route", values)


@given(st.text(st.sampled_from("/{}:ainté. "), max_size=20) | st.text(max_size=20))
def test_any_text_is_a_pattern_that_reads_the_same_or_is_refused(text: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except RouteError:
        assert not text.startswith("/") or "{" in text or "}" in text
    else:
        assert str(pattern) == (text or "/")


@given(st.sampled_from(sorted(CONVERTERS)), st.text(max_size=30))
def test_any_text_is_a_value_or_no_match(name: str, text: str) -> None:
    try:
        value = CONVERTERS[name].parse(text)
    except ValueError:
        return
    assert isinstance(value, CONVERTERS[name].type)
