"""A signature that cannot work is refused where it is registered, and the message helps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path as File
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Ge
from msgspec import Meta, Struct
from pydantic import BaseModel, Field

from oxidite import Body, Cookie, Depends, Form, Header, Json, Oxidite, Path, Query, Request, State
from oxidite.errors import RouteError
from oxidite.extract import Context, Plan
from oxidite.extract.base import location
from oxidite.testing import Client


class New(Struct):
    title: str


class Other(Struct):
    word: str


class Model(BaseModel):
    number: int


class Holder(Struct):
    model: Model


class Store:
    """A resource."""


class CurrentUser:
    """An extractor, to be given as an instance."""

    def extract(self, request: Request) -> str:
        return ""

    def describe(self) -> Any: ...


def find_user(request: Request) -> str:
    return ""


def refusal(handler: Callable[..., object], path: str = "/", method: str = "get") -> str:
    """Return why a handler is refused, once it is clear that the place and the name are told."""
    with pytest.raises(RouteError) as caught:
        getattr(Oxidite(), method)(path)(handler)

    message = caught.value.message
    here = f"tests/unit/extract/test_signatures.py:{handler.__code__.co_firstlineno} "
    assert message.startswith(here), message
    assert f"{handler.__name__}(): " in message
    return message.partition("(): ")[2]


def test_a_name_that_is_nearly_that_in_the_path_is_asked_about() -> None:
    async def show(userid: int) -> None: ...

    assert refusal(show, "/{user_id}") == (
        "'userid' is not in the path, which has {user_id}. Did you mean 'user_id'? If it is a query "
        "parameter, say so: Query[int]."
    )


def test_a_name_nearly_in_the_path_is_fine_where_it_is_said_to_be_in_the_query() -> None:
    app = Oxidite()

    @app.get("/{user_id}")
    async def show(userid: Query[int]) -> None: ...

    assert [step.extractor.describe().source for step in app.routes[0].plan.steps] == ["query"]


def test_a_parameter_without_an_annotation_is_refused() -> None:
    async def show(q: object) -> None: ...

    del show.__annotations__["q"]

    assert refusal(show) == "'q' has no annotation, so nothing says where it comes from."


async def test_a_path_parameter_needs_no_annotation() -> None:
    async def show(id: object) -> list[object]:
        return [id]

    del show.__annotations__["id"]
    app = Oxidite()
    app.get("/text/{id}")(show)
    app.get("/number/{id:int}")(show)

    async with Client(app) as client:
        assert (await client.get("/text/7")).json() == ["7"]
        assert (await client.get("/number/7")).json() == [7]


def test_collected_arguments_are_refused() -> None:
    async def one(*args: int) -> None: ...
    async def two(**kwargs: int) -> None: ...

    remedy = "collects arguments nobody names. Name the parameters, or take the Request."
    assert refusal(one) == f"'args' {remedy}"
    assert refusal(two) == f"'kwargs' {remedy}"


def test_data_where_there_is_no_body_is_refused_with_two_ways_out() -> None:
    async def search(filter: New) -> None: ...

    for method in ("get", "delete"):
        assert refusal(search, method=method) == (
            "'filter' is data (New), but requests of this method have no body. Use Query[New] to read "
            "it from the query, or post, put or patch."
        )


@pytest.mark.parametrize("type_", [dict, dict[str, int], list[New], Any])
def test_data_that_no_query_holds_is_not_sent_there(type_: Any) -> None:
    async def search(filter: Any) -> None: ...

    search.__annotations__["filter"] = type_
    assert refusal(search).endswith(
        "Use post, put or patch; a query holds scalars, lists of these, or a Struct in Query[...]."
    )


def test_a_type_that_nothing_makes_is_refused_with_ways_out_that_there_are() -> None:
    async def search(words: Sequence[str] = ()) -> None: ...

    assert refusal(search) == (
        "'words' cannot be made from a request: collections.abc.Sequence[str]. Use a list, a tuple or a "
        "dict for data, a class for a resource, or say what makes it: Depends(...)."
    )


def test_a_parameter_that_the_path_has_not_is_refused_with_those_it_has() -> None:
    app = Oxidite()

    @app.get("/users/{user_id}/posts/{post_id}")
    async def show(postid: Path[int]) -> None: ...

    with pytest.raises(RouteError) as caught:
        _ = app.table
    assert caught.value.message.endswith(
        "'postid' is not in the path of the route, which has {user_id}, {post_id}."
    )


@pytest.mark.parametrize("marker", [Json[New], Form[New], Body[New]])
def test_a_body_marker_where_there_is_no_body_is_refused(marker: Any) -> None:
    async def search(data: Any) -> None: ...

    search.__annotations__["data"] = marker
    assert refusal(search).startswith(
        "'data' reads the request body, but requests of this method have none. Use post, put or patch"
    )


def test_two_bodies_are_refused() -> None:
    async def create(one: New, two: Json[Other], three: Query[Other]) -> None: ...

    with pytest.raises(RouteError) as caught:
        Oxidite().post("/")(create)

    assert caught.value.message.endswith(
        "create(): 'one' and 'two' both read the request body. Join them in one Struct."
    )


def test_a_union_that_cannot_be_told_apart_is_refused_with_the_reason() -> None:
    async def create(data: New | Other) -> None: ...
    async def search(data: Query[New | Other]) -> None: ...

    assert "'data' cannot be decoded: If a type union contains multiple Struct types" in refusal(
        create, method="post"
    )
    assert "'data' cannot be read from a query: If a type union" in refusal(search)


def test_a_struct_that_holds_a_model_is_refused_with_the_reason() -> None:
    async def create(data: Holder) -> None: ...
    async def create_json(data: Json[Holder]) -> None: ...

    assert refusal(create, method="post") == refusal(create_json, method="post")
    assert refusal(create, method="post") == (
        "'data' cannot be decoded: its field 'model' holds a pydantic model, which msgspec cannot "
        "make. Make the whole a pydantic model."
    )


def test_a_form_of_one_value_is_refused() -> None:
    async def create(data: Form[int]) -> None: ...

    assert refusal(create, method="post") == (
        "'data' is one value; a form is a Struct, a dataclass or FormData."
    )


@pytest.mark.parametrize(
    ("marker", "source"),
    [(Query[Store], "query"), (Header[Store], "header"), (Cookie[Store], "cookie")],
)
def test_a_parameter_that_no_text_can_fill_is_refused(marker: Any, source: str) -> None:
    async def search(v: Any) -> None: ...

    search.__annotations__["v"] = marker
    message = refusal(search)
    assert message.startswith(f"'v' cannot be read from a {source}: <class ")
    assert message.endswith(
        "is neither a scalar, nor a list of scalars, nor a Struct, dataclass, TypedDict or model."
    )


def test_a_list_of_structs_cannot_come_from_the_query() -> None:
    async def search(v: Query[list[New]]) -> None: ...

    assert "'v' cannot be read from a query" in refusal(search)


def test_a_type_that_nothing_makes_is_refused() -> None:
    async def search(v: Callable[[], int]) -> None: ...

    assert refusal(search).startswith("'v' cannot be made from a request: ")


def test_a_resource_that_is_no_class_is_refused() -> None:
    async def search(v: State[Store | New]) -> None: ...

    assert "'v' is not a class: " in refusal(search)


@pytest.mark.parametrize("extra", [Ge(1), Field(ge=1)])
def test_a_constraint_of_another_library_is_refused_and_not_ignored(extra: object) -> None:
    async def search(v: Any) -> None: ...

    search.__annotations__["v"] = Annotated[int, extra]
    message = refusal(search)
    assert message.startswith("'v' is constrained with ")
    assert message.endswith(
        "which would be ignored here. Use msgspec.Meta(ge=..., max_length=...) instead."
    )


def test_a_parameter_from_two_places_is_refused() -> None:
    async def both(v: Annotated[Query[int], Depends(find_user)]) -> None: ...
    async def default(v: Header[str] = Depends(find_user)) -> None: ...
    async def union(v: Header[str] | Cookie[str]) -> None: ...

    for handler in (both, default, union):
        assert refusal(handler) == "'v' is said to come from several places. Keep one."


def test_an_extractor_that_is_a_class_is_refused() -> None:
    async def show(user: Annotated[str, CurrentUser]) -> None: ...

    assert refusal(show) == (
        "'user' is marked with the class CurrentUser. Give an instance: CurrentUser(...)."
    )


def test_a_provider_without_depends_is_refused() -> None:
    async def one(user: Annotated[str, find_user]) -> None: ...
    async def two(user: Annotated[str, Depends]) -> None: ...

    assert refusal(one) == (
        "'user' is marked with the function find_user, which would be ignored. "
        "Did you mean Depends(find_user)?"
    )
    assert refusal(two).endswith("Did you mean Depends(...)?")


@pytest.mark.parametrize(
    ("path", "annotation", "said"),
    [
        ("/{id:int}", str, "int"),
        ("/{id:int}", Path[str], "int"),
        ("/{id:uuid}", int, "uuid"),
        ("/{id:date}", Annotated[str, Meta(max_length=3)], "date"),
    ],
)
def test_a_path_and_a_handler_that_disagree_are_refused(
    path: str, annotation: Any, said: str
) -> None:
    async def show(id: Any) -> None: ...

    show.__annotations__["id"] = annotation
    message = refusal(show, path)
    assert message.startswith("'id' is ")
    assert f"but the path '{path}' says {said}. Write the same in both" in message


def test_a_path_and_a_dependency_that_disagree_are_refused_with_both_places() -> None:
    async def load(id: str) -> int:
        return 1

    async def show(made: Annotated[int, Depends(load)]) -> None: ...

    with pytest.raises(RouteError) as caught:
        Oxidite().get("/posts/{id:int}")(show)

    assert caught.value.message == (
        f"{location(load)}: 'id' is str, but the path '/posts/{{id:int}}' of {location(show)} says "
        "int. Write the same in both, or no type in the path."
    )


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (int, str, ("int", "str")),
        (str, int, ("str", "int")),
        (Path[UUID], date, ("UUID", "date")),
        (int, float, ("int", "float")),
        (int, Literal[1, 2], ("int", "typing.Literal[1, 2]")),
        (bool, str, ("bool", "str")),
    ],
)
def test_a_handler_and_a_dependency_that_disagree_are_refused_with_both_places(
    one: Any, other: Any, shown: tuple[str, str]
) -> None:
    async def load(id: Any) -> int:
        return 1

    async def show(made: Annotated[int, Depends(load)], id: Any) -> None: ...

    show.__annotations__["id"] = one
    load.__annotations__["id"] = other
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/posts/{id}")(show)

    assert caught.value.message == (
        f"{location(load)}: 'id' is {shown[1]}, but {shown[0]} at {location(show)}, and both read the "
        "path '/posts/{id}'. Write the same type in both."
    )


def test_two_dependencies_that_disagree_are_refused_with_both_places() -> None:
    async def first(id: int) -> int:
        return 1

    async def inner(id: str) -> int:
        return 1

    async def second(made: Annotated[int, Depends(inner)]) -> int:
        return 1

    async def show(
        a: Annotated[int, Depends(first)], b: Annotated[int, Depends(second)]
    ) -> None: ...

    with pytest.raises(RouteError) as caught:
        Oxidite().get("/posts/{id}")(show)

    assert caught.value.message == (
        f"{location(inner)}: 'id' is str, but int at {location(first)}, and both read the path "
        f"'/posts/{{id}}' of {location(show)}. Write the same type in both."
    )


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        (int, Annotated[int, Meta(ge=1)], "/{id:int}"),
        (Path[int], int | None, "/{id:int}"),
        (str, Literal["new", "old"], "/{id}"),
        (Any, UUID, "/{id:uuid}"),
        (UUID, object, "/{id:uuid}"),
    ],
)
def test_declarations_that_mean_the_same_of_the_path_may_differ(
    one: Any, other: Any, path: str
) -> None:
    async def load(id: Any) -> int:
        return 1

    async def show(id: Any, made: Annotated[int, Depends(load)]) -> None: ...

    show.__annotations__["id"] = one
    load.__annotations__["id"] = other
    app = Oxidite()
    app.get("/{id}")(show)

    assert [route.path for route in app.routes] == [path]


def test_the_place_of_a_mistake_in_a_dependency_is_that_of_the_dependency() -> None:
    async def provider(filter: New) -> int:
        return 1

    async def handler(made: Annotated[int, Depends(provider)]) -> None: ...

    with pytest.raises(RouteError) as caught:
        Oxidite().get("/")(handler)

    assert caught.value.message.startswith(
        f"tests/unit/extract/test_signatures.py:{provider.__code__.co_firstlineno} "
    )
    assert "provider(): 'filter' is data (New)" in caught.value.message


# What cannot be known at registration.


def test_a_name_that_is_not_defined_yet_is_looked_up_again_at_the_start() -> None:
    app = Oxidite()
    namespace: dict[str, Any] = {"app": app}
    source = """
from __future__ import annotations
@app.get("/")
async def show(later: Later) -> None: ...
"""
    exec(compile(source, "late.py", "exec"), namespace)  # a module of its own is the point

    with pytest.raises(RouteError) as caught:
        _ = app.table
    assert caught.value.code == "unresolved_hint"
    assert caught.value.message == (
        "late.py:3 show(): an annotation names 'Later', which is not defined. Import it outside "
        "`if TYPE_CHECKING:`, where it can be looked up at run time."
    )

    namespace["Later"] = Store
    assert [route.path for route in app.routes] == ["/"]


def test_a_struct_whose_own_annotations_are_not_defined_yet_is_looked_up_again_too() -> None:
    app = Oxidite()
    namespace: dict[str, Any] = {"app": app, "__name__": "late_struct"}
    module = type(sys)("late_struct")
    source = """
from __future__ import annotations
from msgspec import Struct
class Outer(Struct):
    inner: Inner
@app.post("/")
async def create(data: Outer) -> None: ...
"""
    sys.modules["late_struct"] = module
    try:
        namespace = vars(module) | namespace
        module.__dict__.update(namespace)
        exec(compile(source, "late.py", "exec"), module.__dict__)  # as above

        with pytest.raises(RouteError) as caught:
            _ = app.table
        assert caught.value.code == "unresolved_hint"
        assert "create(): 'data' is a Outer, whose own annotations name 'Inner'" in (
            caught.value.message
        )

        module.__dict__["Inner"] = New
        assert [route.path for route in app.routes] == ["/"]
    finally:
        del sys.modules["late_struct"]


def test_a_path_parameter_that_only_a_prefix_can_give_is_asked_for_at_the_start() -> None:
    app = Oxidite()

    @app.get("/")
    async def show(team: Path[str]) -> None: ...

    with pytest.raises(RouteError) as caught:
        _ = app.table
    assert caught.value.message.endswith("show(): 'team' is not in the path of the route.")
    assert caught.value.code == "unknown_path_parameter"


def test_a_file_outside_the_working_directory_is_named_whole(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def show(q: object) -> None: ...

    del show.__annotations__["q"]

    monkeypatch.chdir(tmp_path)
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/")(show)

    assert caught.value.message.startswith(f"{File(__file__)}:{show.__code__.co_firstlineno} ")


# What a plan knows.


def test_a_plan_describes_where_everything_comes_from() -> None:
    async def provider(limit: int = 3) -> int:
        return limit

    async def create(
        id: int,
        data: New,
        request: Request,
        store: Store,
        token: Header[str],
        theme: Cookie[str] = "light",
        page: Annotated[int, Depends(provider)] = 1,
    ) -> list[int]:
        return []

    plan = Plan.of(create, Context({"id": int}, has_body=True, localns=locals()))
    found = [step.extractor.describe() for step in plan.steps]

    assert [(each.source, each.name, each.type, each.required) for each in found[:6]] == [
        ("path", "id", int, True),
        ("body", None, New, True),
        ("request", None, Request, True),
        ("resource", None, Store, True),
        ("header", "token", str, True),
        ("cookie", "theme", str, False),
    ]
    assert found[1].media_types == ("application/json",)
    assert found[6].source == "dependency"
    assert [(part.source, part.name, part.required) for part in found[6].parts] == [
        ("query", "limit", False)
    ]
    assert plan.returns == list[int]
