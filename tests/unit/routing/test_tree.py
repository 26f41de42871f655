from __future__ import annotations

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.errors import InvalidPathError
from oxidite.routing.pattern import Param, Pattern, converter_for
from oxidite.routing.tree import ANY_METHOD, Tree


def tree_of(*routes: str) -> Tree[str]:
    """Make a tree of routes such as ``GET /a``; each is its own name."""
    tree: Tree[str] = Tree()
    for route in routes:
        method, _, path = route.partition(" ")
        assert tree.add(Pattern.parse(path).typed({}), (method,), route) is None
    return tree


def found(tree: Tree[str], path: str, method: str = "GET") -> str | None:
    return tree.find(path, method).route


def test_the_narrowest_way_is_taken() -> None:
    tree = tree_of(
        "GET /{rest:path}",
        "GET /{any}",
        "GET /{number:float}",
        "GET /{id:int}",
        "GET /{day:date}",
        "GET /42",
    )

    assert found(tree, "/42") == "GET /42"
    assert found(tree, "/43") == "GET /{id:int}"
    assert found(tree, "/4.5") == "GET /{number:float}"
    assert found(tree, "/2024-01-01") == "GET /{day:date}"
    assert found(tree, "/x") == "GET /{any}"
    assert found(tree, "/x/y") == "GET /{rest:path}"


def test_a_way_that_ends_nowhere_is_walked_back() -> None:
    tree = tree_of("GET /a/{x}/c", "GET /{y}/b/d", "GET /a/b/e", "GET /{rest:path}")

    assert found(tree, "/a/b/c") == "GET /a/{x}/c"
    assert found(tree, "/a/b/d") == "GET /{y}/b/d"
    assert found(tree, "/a/b/e") == "GET /a/b/e"
    assert found(tree, "/a/b/f") == "GET /{rest:path}"
    assert tree.find("/a/b/d", "GET").params == {"y": "a"}


@pytest.mark.parametrize(
    "path", ["/", "//", "/x/", "/x//", "/.", "/..", "/x/..", "/../x", "//x", "x", "", "*"]
)
def test_dots_and_empty_segments_are_no_parameters(path: str) -> None:
    tree = tree_of("GET /{a}", "GET /x/{b}", "GET /{a}/x", "GET /{a}/{b}")

    assert found(tree, path) is None
    assert tree.walk(path, "GET") is None


def test_a_path_parameter_takes_everything_as_it_is() -> None:
    tree = tree_of("GET /files/{name:path}")

    for rest in ("", "a", "a/b", "../x", "a//b/", ".", "/etc/passwd"):
        assert tree.find(f"/files/{rest}", "GET").params == {"name": rest}
    assert found(tree, "/files") is None


def test_a_path_that_does_not_start_at_the_root_is_nowhere() -> None:
    tree = tree_of("GET /", "GET /posts", "GET /{id}")

    for path in ("*", "posts", "xposts", "http://x/posts", "@evil/posts"):
        assert found(tree, path) is None
        assert tree.walk(path, "GET") is None


@pytest.mark.parametrize("path", ["/a\x00", "/\x00/a", "/\ufffd", "/a/\ufffdb"])
def test_a_path_with_nul_or_broken_text_is_invalid(path: str) -> None:
    tree = tree_of("GET /{a}", "GET /{rest:path}")

    with pytest.raises(InvalidPathError):
        tree.find(path, "GET")
    assert tree.walk(path, "GET") is None


def test_a_path_without_the_method_says_which_it_has() -> None:
    tree = tree_of("GET /posts/{id:int}", "PUT /posts/{id:int}", "POST /posts/{slug}", "DELETE /x")

    assert tree.find("/posts/3", "DELETE").allowed == {"GET", "PUT", "POST"}
    assert tree.find("/posts/x", "DELETE").allowed == {"POST"}
    assert tree.find("/nope", "DELETE").allowed == set()
    assert found(tree, "/posts/3", "POST") == "POST /posts/{slug}"


def test_head_is_answered_by_get_unless_it_has_its_own_route() -> None:
    tree = tree_of("GET /a", "GET /b", "HEAD /b", "POST /c", "* /{rest:path}")

    assert found(tree, "/a", "HEAD") == "GET /a"
    assert found(tree, "/b", "HEAD") == "HEAD /b"
    assert found(tree, "/d", "HEAD") == "* /{rest:path}"


def test_what_answers_every_method_leaves_a_narrower_path_its_own_methods() -> None:
    tree = tree_of("GET /api", "* /{rest:path}")

    assert found(tree, "/api", "POST") is None
    assert tree.find("/api", "POST").allowed == {"GET"}
    assert found(tree, "/other", "POST") == "* /{rest:path}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a", "/a"),
        ("/{a}", "/{b}"),
        ("/{a:int}/x", "/{b:int}/x"),
        ("/{a:float}", "/{b:decimal}"),
        ("/{a:path}", "/{b:path}"),
        ("/", "/"),
    ],
)
def test_a_route_that_another_would_hide_is_not_added(first: str, second: str) -> None:
    tree = tree_of(f"GET {first}")

    assert tree.add(Pattern.parse(second).typed({}), ("POST", "GET"), "new") == f"GET {first}"
    assert found(tree, first, "POST") is None
    assert tree.add(Pattern.parse(second).typed({}), ("POST",), "new") is None


def test_two_enums_of_one_name_are_two_kinds_of_parameter() -> None:
    def enum(value: str) -> type[Enum]:
        class Colour(Enum):
            ONLY = value

        return Colour

    red, blue = enum("red"), enum("blue")
    tree: Tree[str] = Tree()
    tree.add(Pattern((Param("c", converter_for(red)), "a")), ("GET",), "first")
    tree.add(Pattern((Param("c", converter_for(blue)), "b")), ("GET",), "second")

    assert tree.find("/red/a", "GET").params == {"c": red("red")}
    assert tree.find("/blue/b", "GET").params == {"c": blue("blue")}
    assert found(tree, "/red/b") is None


def test_an_enum_called_path_takes_one_segment() -> None:
    class path(Enum):  # noqa: N801 - the name is what this is about
        A = "a"

    tree: Tree[str] = Tree()
    tree.add(Pattern((Param("p", converter_for(path)),)), ("GET",), "route")

    assert tree.find("/a", "GET").params == {"p": path.A}
    assert found(tree, "/a/b") is None
    assert found(tree, "/x") is None


def test_the_tree_yields_each_route_once() -> None:
    tree: Tree[str] = Tree()
    tree.add(Pattern.parse("/a/{b:path}"), ("GET", "POST"), "one")
    tree.add(Pattern.parse("/a/{b}").typed({}), ("GET",), "two")

    assert sorted(tree) == ["one", "two"]


def test_a_very_long_path_is_looked_up_in_a_moment() -> None:
    tree = tree_of("GET /a/{b}/{c}", "GET /{a}/{b}", "GET /files/{rest:path}")

    assert found(tree, "/a" * 100_000) is None
    assert tree.find("/files" + "/x" * 100_000, "GET").params == {"rest": "x/" * 99_999 + "x"}


# A matcher that looks at every route, to compare with.

RANKS = {"{i:int}": 1, "{d:date}": 1, "{f:float}": 2, "{s}": 8, "{p:path}": 9}
LITERALS = ["a", "b", "1", "2.5", "2024-01-01", "", ".."]
patterns = st.lists(
    st.sampled_from([*LITERALS, "{i:int}", "{d:date}", "{f:float}", "{s}"]), min_size=1, max_size=4
)
patterns = st.tuples(patterns, st.booleans()).map(
    lambda drawn: [*drawn[0][:-1], "{p:path}"] if drawn[1] else drawn[0]
)
methods = st.sampled_from(["GET", "POST", "HEAD", ANY_METHOD])
paths = st.lists(st.sampled_from([*LITERALS, "3", "x", "."]), min_size=1, max_size=5)

Routes = dict[tuple[str, ...], dict[str, str]]


def fits(shape: tuple[str, ...], segments: list[str]) -> bool:
    if shape[-1] == "{p:path}":
        head, segments = shape[:-1], segments[: len(shape) - 1] + segments[len(shape) - 1 :][:1]
        if len(segments) != len(shape):
            return False
        return fits_all(head, segments[:-1])
    return len(shape) == len(segments) and fits_all(shape, segments)


def fits_all(shape: tuple[str, ...], segments: list[str]) -> bool:
    for part, text in zip(shape, segments, strict=True):
        if part not in RANKS:
            if part != text:
                return False
        elif part == "{s}":
            if text in ("", ".", ".."):
                return False
        elif (
            (part == "{i:int}" and text not in ("1", "3"))
            or (part == "{d:date}" and text != "2024-01-01")
            or (part == "{f:float}" and text not in ("1", "3", "2.5"))
        ):
            return False
    return True


def naively(routes: Routes, segments: list[str], method: str) -> tuple[str | None, set[str]]:
    allowed: set[str] = set()
    candidates = [shape for shape in routes if fits(shape, segments)]
    for shape in sorted(candidates, key=lambda shape: [RANKS.get(part, -1) for part in shape]):
        here = routes[shape]
        for wanted in (method, "GET" if method == "HEAD" else method):
            if wanted in here:
                return here[wanted], allowed
        if ANY_METHOD in here and not allowed:
            return here[ANY_METHOD], allowed
        allowed.update(here.keys() - {ANY_METHOD})
    return None, allowed


@given(
    st.lists(st.tuples(patterns, methods), max_size=12),
    paths,
    st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
)
def test_the_tree_agrees_with_a_look_at_every_route(
    drawn: list[tuple[list[str], str]], segments: list[str], method: str
) -> None:
    tree: Tree[str] = Tree()
    routes: Routes = {}
    for parts, verb in drawn:
        names = [part.replace("{", f"{{n{at}") for at, part in enumerate(parts)]
        pattern = Pattern.parse("/" + "/".join(names)).typed({})
        name = f"{verb} {pattern}"
        shown = routes.setdefault(tuple(parts), {})
        hidden_by = tree.add(pattern, (verb,), name)
        assert (hidden_by is None) == (verb not in shown)
        shown.setdefault(verb, name)

    match = tree.find("/" + "/".join(segments), method)
    way = tree.walk("/" + "/".join(segments), method)

    assert (match.route, match.allowed if match.route is None else set()) == (
        (expected := naively(routes, segments, method))[0],
        expected[1] if expected[0] is None else set(),
    )
    if way is not None:
        assert way == (match.route, match.params)
    static = tree.statics.get("/" + "/".join(segments), {})
    if method in static:
        assert static[method][0] == match.route
