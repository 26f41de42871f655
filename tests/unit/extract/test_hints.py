"""Signatures out of the ordinary mean what they say."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Annotated, Any, Final, NamedTuple, ParamSpec, TypeVar

import pytest
from msgspec import Meta, Struct

from oxidite import Cookie, Depends, Header, Json, Oxidite, Query, Request, Router, Upload
from oxidite.errors import RouteError
from oxidite.testing import Client

P = ParamSpec("P")
T = TypeVar("T")


class Filter(Struct):
    word: str = "all"
    tags: list[str] = []


class Place(NamedTuple):
    row: int
    column: int = 0


def refusal(handler: Callable[..., object]) -> str:
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/")(handler)
    return caught.value.message.partition("(): ")[2]


def passing(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate as most decorators do: with no regard to whether the function is async."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    return wrapper


# Markers.


async def test_a_marker_beside_the_type_is_that_around_it() -> None:
    app = Oxidite()

    @app.get("/")
    async def show(
        token: Annotated[str, Header],
        theme: Annotated[str, Cookie] = "light",
        limit: Annotated[int, Meta(ge=1), Query] = 1,
    ) -> list[object]:
        return [token, theme, limit]

    async with Client(app, cookies={"theme": "dark"}) as client:
        answer = await client.get("/?token=query&limit=2", headers={"token": "header"})
        assert answer.json() == ["header", "dark", 2]
        assert (await client.get("/?limit=0", headers={"token": ""})).status_code == 422


def test_a_marker_that_is_no_type_is_refused() -> None:
    header: Any = Header
    provided: Any = Depends

    async def bare(v: Any) -> None: ...
    async def default(v: str = header) -> None: ...
    async def depends(v: int = provided) -> None: ...

    bare.__annotations__["v"] = Query
    assert refusal(bare) == ("'v' is of no type. A marker has one in brackets, such as Query[int].")
    assert refusal(default) == (
        "'v' has a marker as its default. It belongs to the type: `q: Query[int] = 1`."
    )
    assert refusal(depends) == "'v' has Depends as its default. Say of what: Depends(provider)."


def test_a_marker_that_is_called_says_what_to_write() -> None:
    query: Any = Query
    body: Any = Json

    with pytest.raises(RouteError, match=re.escape("write `x: Query[T] = 'a'`, where T is")):
        query("a", min_length=3)
    with pytest.raises(RouteError, match=re.escape("write `x: Query[T] = 5`, where T is")):
        query(default=5)
    with pytest.raises(RouteError, match=re.escape("Json(...) is a call, and Json goes around")):
        body(...)

    async def annotated(v: Any) -> None: ...

    annotated.__annotations__["v"] = "Annotated[str, Query(max_length=3)]"
    assert "write `x: Query[T]`, where T is the type." in refusal(annotated)


def test_an_annotation_that_is_no_type_is_refused_where_it_stands() -> None:
    alias: Any = Final  # noqa: F841 - the annotation below names it

    async def final(v: Any) -> None: ...

    final.__annotations__["v"] = "alias[int]"
    with pytest.raises(
        RouteError, match=r"test_hints\.py:\d+ .*final\(\): an annotation is no type"
    ):
        Oxidite().get("/")(final)


# Partials.


async def test_what_a_partial_has_given_is_not_for_the_client_to_say() -> None:
    async def show(word: str, role: str, times: int = 1) -> str:
        return f"{word} {role} {times}"

    async def double(number: int, factor: int) -> int:
        return number * factor

    app = Oxidite()
    app.get("/show")(functools.partial(show, role="reader"))
    app.get("/twice")(functools.partial(functools.partial(show, times=2), role="reader"))

    @app.get("/depends")
    async def depends(
        made: Annotated[int, Depends(functools.partial(double, factor=2))],
    ) -> int:
        return made

    async with Client(app) as client:
        assert (await client.get("/show?word=a&role=admin&times=3")).text == "a reader 3"
        assert (await client.get("/twice?word=a&role=admin&times=3")).text == "a reader 2"
        assert (await client.get("/depends?number=3&factor=9")).json() == 6


async def test_what_a_partial_has_given_needs_no_annotation_that_fits() -> None:
    async def show(word: str, clock: object) -> str:
        return f"{word} {clock}"

    app = Oxidite()
    app.get("/")(functools.partial(show, clock=7))

    async with Client(app) as client:
        assert (await client.get("/?word=a&clock=8")).text == "a 7"


# Decorators.


async def test_a_decorator_need_not_be_async() -> None:
    app = Oxidite()

    @passing
    async def made(word: str) -> str:
        return word * 2

    @app.get("/")
    @passing
    async def show(word: str, made: Annotated[str, Depends(made)]) -> str:
        return word + made

    def sync(word: str) -> Awaitable[str]:
        return show(word, "-")

    app.get("/sync")(sync)

    async with Client(app) as client:
        assert (await client.get("/?word=a")).text == "aaa"
        assert (await client.get("/sync?word=a")).text == "a-"


async def test_a_provider_that_yields_may_be_decorated_or_an_object() -> None:
    log: list[str] = []

    @passing
    async def first(word: str) -> AsyncIterator[str]:
        yield word
        log.append("first")

    @passing
    def second(word: str) -> Iterator[str]:
        yield word * 2
        log.append("second")

    class Third:
        async def __call__(self, word: str) -> AsyncIterator[str]:
            yield word * 3
            log.append("third")

    class Fourth:
        def __call__(self, word: str) -> Iterator[str]:
            yield word * 4
            log.append("fourth")

    app = Oxidite()

    @app.get("/")
    async def show(
        a: Annotated[str, Depends(first)],
        b: Annotated[str, Depends(second)],
        c: Annotated[str, Depends(Third())],
        d: Annotated[str, Depends(Fourth())],
    ) -> list[str]:
        return [a, b, c, d]

    async with Client(app) as client:
        assert (await client.get("/?word=x")).json() == ["x", "xx", "xxx", "xxxx"]
    assert log == ["fourth", "third", "second", "first"]


async def test_a_provider_whose_generator_is_collected_by_a_decorator_gives_what_that_made() -> (
    None
):
    def collected(function: Callable[[str], AsyncIterator[str]]) -> Callable[[str], object]:
        @functools.wraps(function)
        async def wrapper(word: str) -> list[str]:
            return [each async for each in function(word)]

        return wrapper

    @collected
    async def made(word: str) -> AsyncIterator[str]:
        yield word
        yield word

    app = Oxidite()

    @app.get("/")
    async def show(made: Annotated[list[str], Depends(made)]) -> list[str]:
        return made

    async with Client(app) as client:
        assert (await client.get("/?word=x")).json() == ["x", "x"]


# Classes.


async def test_a_class_whose_constructor_is_made_of_its_annotations_is_a_provider() -> None:
    class Old:
        def __new__(cls, word: str) -> Old:
            made = super().__new__(cls)
            made.word = word
            return made

        word: str

    app = Oxidite()

    @app.get("/")
    async def show(
        filter: Annotated[Filter, Depends(Filter)],
        place: Annotated[Place, Depends(Place)],
        old: Annotated[Old, Depends(Old)],
    ) -> list[object]:
        return [filter, place.row, place.column, old.word]

    async with Client(app) as client:
        answer = await client.get("/?word=a&tags=b&tags=c&row=1")
        assert answer.json() == [{"word": "a", "tags": ["b", "c"]}, 1, 0, "a"]


# Defaults.


async def test_a_default_that_is_changed_is_whole_again_in_the_next_request() -> None:
    app = Oxidite()

    @app.get("/")
    async def show(
        tags: list[str] = [],  # noqa: B006 - that it is one for all is the point
        names: Header[list[str]] = [],  # noqa: B006 - as above
        filter: Query[Filter] = Filter(),  # noqa: B008 - as above
    ) -> list[object]:
        tags.append("a")
        names.append("b")
        filter.tags.append("c")
        return [tags, names, filter.tags]

    @app.post("/json")
    async def json(data: Json[dict[str, int]] = {}) -> dict[str, int]:  # noqa: B006 - as above
        data["n"] = data.get("n", 0) + 1
        return data

    @app.post("/files")
    async def files(
        file: list[Upload] = [],  # noqa: B006 - as above
        words: list[str] = [],  # noqa: B006 - as above
    ) -> int:
        words.append("")
        return len(file) + len(words)

    async with Client(app) as client:
        for _ in range(2):
            assert (await client.get("/")).json() == [["a"], ["b"], ["c"]]
            assert (await client.post("/json")).json() == {"n": 1}
            assert (await client.post("/files")).json() == 1


async def test_a_default_that_cannot_be_copied_is_given_as_it_is() -> None:
    class Only:
        def __deepcopy__(self, memo: object) -> Only:
            raise TypeError("there is one")

    only: Any = Only()  # no list, as nobody checks a default
    app = Oxidite()

    @app.get("/")
    async def show(tags: Query[list[str]] = only) -> bool:
        return tags is only

    async with Client(app) as client:
        assert (await client.get("/")).json() is True


# Names of types.


if sys.version_info >= (3, 12):  # where `type` is a statement

    async def test_a_name_of_a_type_is_what_it_stands_for() -> None:
        namespace: dict[str, Any] = {"router": Router()}
        source = """
from typing import Annotated
from msgspec import Meta, Struct
from oxidite import Header, Query
type Limit = Annotated[int, Meta(ge=1)]
type Maybe[T] = T | None
type Tags = list[str]
type Token = Header[str]
class Page(Struct):
    limit: Limit = 1
    tags: Tags = []
@router.get("/{id}")
async def show(
    id: Limit, token: Token, page: Query[Page], size: Maybe[Limit] = None, more: Tags = []
) -> list[object]:
    return [id, token, page.limit, page.tags, size, more]
"""
        exec(
            compile(source, "names.py", "exec", dont_inherit=True), namespace
        )  # Python 3.11 cannot read it
        app = Oxidite()
        app.include(namespace["router"])

        assert [route.path for route in app.routes] == ["/{id:int}"]
        async with Client(app) as client:
            url = "/7?limit=2&tags=a&tags=b&size=3&more=c&more=d"
            answer = await client.get(url, headers={"token": "t"})
            assert answer.json() == [7, "t", 2, ["a", "b"], 3, ["c", "d"]]
            refused = await client.get("/7?limit=0&size=0", headers={"token": "t"})
            assert [each["parameter"] for each in refused.json()["errors"]] == ["limit", "size"]


# What is said of a type.


async def test_a_request_that_may_be_none_is_the_request() -> None:
    app = Oxidite()

    @app.get("/")
    async def show(request: Request | None = None) -> str:
        return "" if request is None else request.path

    async with Client(app) as client:
        assert (await client.get("/")).text == "/"


def test_a_union_is_called_by_all_of_its_members() -> None:
    async def show(v: Filter | None) -> None: ...

    assert refusal(show) == (
        "'v' is data (Filter | None), but requests of this method have no body. Use "
        "Query[Filter | None] to read it from the query, or post, put or patch."
    )


async def test_a_signature_that_was_set_says_the_types() -> None:
    async def show(**values: object) -> dict[str, object]:
        return values

    kind = inspect.Parameter.KEYWORD_ONLY
    parameter = inspect.Parameter("number", kind, annotation=int)
    show.__dict__["__signature__"] = inspect.Signature([parameter])  # as libraries do
    app = Oxidite()
    app.get("/")(show)

    async with Client(app) as client:
        assert (await client.get("/?number=7")).json() == {"number": 7}


@pytest.mark.parametrize("type_", [list[int], Filter, dict[str, int], Place])
def test_what_no_piece_of_a_path_can_be_is_refused(type_: Any) -> None:
    async def show(id: Any) -> None: ...

    show.__annotations__["id"] = type_
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/{id}")(show)
    assert "'id' is in the path, which is text, and that cannot be a " in caught.value.message


def test_a_struct_that_names_something_local_is_told_where_it_is_looked_up() -> None:
    class Inner(Struct):
        number: int

    class Outer(Struct):
        inner: Inner

    app = Oxidite()

    @app.get("/")
    async def show(outer: Query[Outer]) -> None: ...

    with pytest.raises(RouteError) as caught:
        _ = app.routes
    assert caught.value.message.endswith(
        "'outer' is a Outer, whose own annotations name 'Inner', which is local to a function. They "
        "are looked up in the module: define it there."
    )


if sys.version_info >= (3, 12):  # where `type` is a statement

    def test_a_name_of_a_type_that_contains_itself_is_refused() -> None:
        namespace: dict[str, Any] = {}
        exec(compile("type Tree = dict[str, Tree | int]", "tree.py", "exec"), namespace)  # as above

        async def create(tree: Any) -> None: ...

        marker: Any = Json
        create.__annotations__["tree"] = marker[namespace["Tree"]]
        with pytest.raises(RouteError) as caught:
            Oxidite().post("/")(create)
        assert caught.value.message.endswith(
            "'tree' cannot be decoded: it contains itself. A Struct may, but not a name of a type."
        )
