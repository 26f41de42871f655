from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Annotated, Any

import pytest
from msgspec import Struct

from oxidite import (
    Depends,
    Handler,
    Header,
    NotFoundError,
    Oxidite,
    Query,
    Request,
    Response,
    Router,
    StreamingResponse,
    ValidationError,
)
from oxidite.errors import FieldError, RouteError
from oxidite.extract import Scope
from oxidite.testing import Client

Log = list[str]


def note(log: Log, name: str) -> Callable[[], AsyncIterator[str]]:
    """Make a generator that notes when it begins, what it sees and when it ends."""

    async def provider() -> AsyncIterator[str]:
        log.append(f"+{name}")
        try:
            yield name
        except BaseException as exc:
            log.append(f"!{name} {type(exc).__name__}")
            raise
        finally:
            log.append(f"-{name}")

    return provider


async def fetch(app: Oxidite, path: str = "/", **request: Any) -> Any:
    async with Client(app) as client:
        return (await client.get(path, **request)).json()


# What may be a provider.


class Pager:
    def __init__(self, limit: int = 20) -> None:
        self.limit = limit


class Doubler:
    async def __call__(self, limit: int = 1) -> int:
        return limit * 2


class Tripler:
    def __call__(self, limit: int = 1) -> int:
        return limit * 3


async def of_async(limit: int) -> int:
    return limit


def of_sync(limit: int) -> str:
    return f"{limit} {threading.current_thread() is threading.main_thread()}"


async def of_async_generator(limit: int) -> AsyncIterator[int]:
    yield limit


def of_sync_generator(limit: int) -> Iterator[str]:
    yield f"{limit} {threading.current_thread() is threading.main_thread()}"


async def add(number: int, limit: int) -> int:
    return number + limit


class Factory:
    async def make(self, limit: int) -> int:
        return limit


@pytest.mark.parametrize(
    ("provider", "value"),
    [
        (of_async, 5),
        (of_sync, "5 False"),
        (of_async_generator, 5),
        (of_sync_generator, "5 False"),
        (Doubler(), 10),
        (Tripler(), 15),
        (partial(add, 1), 6),
        (Factory().make, 5),
        (lambda: 7, 7),
    ],
)
async def test_a_provider_is_any_callable_and_sync_ones_run_in_threads(
    provider: Callable[..., Any], value: object
) -> None:
    app = Oxidite()

    @app.get("/")
    async def handler(made: Annotated[Any, Depends(provider)]) -> list[object]:
        return [made]

    assert await fetch(app, "/?limit=5") == [value]


async def test_a_provider_may_be_a_class() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler(pager: Pager = Depends(Pager)) -> int:
        return pager.limit

    assert await fetch(app) == 20
    assert await fetch(app, "/?limit=5") == 5


async def test_a_dependency_is_a_default_or_an_annotation_and_for_sync_handlers_too() -> None:
    app = Oxidite()

    @app.get("/")
    def handler(
        first: Annotated[int, Depends(of_async)], *, second: int = Depends(of_async_generator)
    ) -> list[int]:
        return [first, second]

    assert await fetch(app, "/?limit=3") == [3, 3]


async def test_arguments_that_are_named_only_are_given_by_name() -> None:
    app = Oxidite()

    @app.get("/{id}")
    async def handler(id: int, *, limit: int, made: Annotated[int, Depends(of_async)]) -> list[int]:
        return [id, limit, made]

    assert await fetch(app, "/1?limit=3") == [1, 3, 3]
    assert [each["parameter"] for each in (await fetch(app, "/1"))["errors"]] == ["limit"]


async def test_a_dependency_is_made_once_for_all_that_use_it_in_a_request() -> None:
    log: Log = []

    async def once() -> int:
        log.append("made")
        return len(log)

    async def left(number: int = Depends(once)) -> int:
        return number

    async def right(number: int = Depends(once)) -> int:
        return number

    app = Oxidite()

    @app.get("/")
    async def handler(
        a: int = Depends(left), b: int = Depends(right), c: int = Depends(once)
    ) -> list[int]:
        return [a, b, c]

    assert await fetch(app) == [1, 1, 1]
    assert await fetch(app) == [2, 2, 2]


async def test_a_provider_may_use_names_that_are_local_to_where_the_handler_is() -> None:
    class Local(Struct):
        word: str

    async def provider(local: Query[Local]) -> Local:
        return local

    app = Oxidite()

    @app.get("/")
    async def handler(local: Annotated[Local, Depends(provider)]) -> Local:
        return local

    assert await fetch(app, "/?word=a") == {"word": "a"}


# Scopes.


def scoped(log: Log) -> Oxidite:
    """Make an application with a dependency of every scope."""
    app = Oxidite()
    names: tuple[Scope, ...] = ("app", "stream", "request", "handler")
    providers: dict[Scope, Callable[[], AsyncIterator[str]]] = {n: note(log, n) for n in names}

    async def middleware(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        log.append(f"middleware {response.status}")
        return response

    app.middleware.append(middleware)

    async def all_of_them(
        a: str = Depends(providers["app"], scope="app"),
        s: str = Depends(providers["stream"], scope="stream"),
        r: str = Depends(providers["request"], scope="request"),
        h: str = Depends(providers["handler"], scope="handler"),
    ) -> str:
        return f"{a} {s} {r} {h}"

    @app.get("/value")
    async def value(made: str = Depends(all_of_them, scope="handler")) -> str:
        log.append("handler")
        return made

    @app.get("/stream")
    async def stream(made: str = Depends(all_of_them, scope="handler")) -> StreamingResponse:
        log.append("handler")

        async def content() -> AsyncIterator[str]:
            log.append("first")
            yield "a"
            log.append("last")

        return StreamingResponse(content())

    @app.get("/error")
    async def error(made: str = Depends(all_of_them, scope="handler")) -> str:
        raise NotFoundError("nothing")

    return app


async def test_each_scope_ends_at_its_time_in_reverse_order() -> None:
    log: Log = []

    async with Client(scoped(log)) as client:
        for _ in range(2):
            assert (await client.get("/value")).text == "app stream request handler"
        log.append("stopping")

    begin = ["+stream", "+request", "+handler", "handler", "-handler"]
    end = ["-request", "middleware 200", "-stream"]
    assert log == ["+app", *begin, *end, *begin, *end, "stopping", "-app"]


async def test_what_a_stream_uses_ends_after_its_last_byte() -> None:
    log: Log = []

    async with Client(scoped(log)) as client:
        assert (await client.get("/stream")).text == "a"

    assert log == [
        *["+app", "+stream", "+request", "+handler", "handler", "-handler", "middleware 200"],
        *["first", "last", "-request", "-stream", "-app"],
    ]


async def test_the_handlers_exception_is_seen_by_handler_and_request_scope() -> None:
    log: Log = []

    async with Client(scoped(log)) as client:
        assert (await client.get("/error")).status_code == 404

    assert log == [
        *["+app", "+stream", "+request", "+handler"],
        *["!handler NotFoundError", "-handler", "!request NotFoundError", "-request"],
        *["middleware 404", "-stream", "-app"],
    ]


async def test_several_of_one_scope_end_in_reverse_order() -> None:
    log: Log = []
    first, second = note(log, "first"), note(log, "second")
    app = Oxidite()

    async def both(a: str = Depends(first), b: str = Depends(second)) -> AsyncIterator[str]:
        log.append("+both")
        yield a + b
        log.append("-both")

    @app.get("/")
    async def handler(made: str = Depends(both)) -> list[str]:
        return [made]

    assert await fetch(app) == ["firstsecond"]
    assert log == ["+first", "+second", "+both", "-both", "-second", "-first"]


async def test_one_provider_in_two_scopes_is_two_values() -> None:
    log: Log = []
    provider = note(log, "x")
    app = Oxidite()

    @app.get("/")
    async def handler(
        a: str = Depends(provider), b: str = Depends(provider, scope="handler")
    ) -> list[str]:
        return [a, b]

    await fetch(app)

    assert log == ["+x", "+x", "-x", "-x"]


@pytest.mark.parametrize("level", ["app", "route"])
async def test_a_handler_that_is_called_again_gets_nothing_that_has_ended(level: str) -> None:
    ended: set[object] = set()

    async def made() -> AsyncIterator[object]:
        value = object()
        yield value
        ended.add(value)

    async def retry(request: Request, call_next: Handler) -> Response:
        await call_next(request)
        return await call_next(request)

    app = Oxidite(middleware=[retry] if level == "app" else [])

    @app.get("/", middleware=[retry] if level == "route" else [])
    async def handler(
        a: object = Depends(made, scope="handler"), b: object = Depends(made)
    ) -> list[bool]:
        return [a in ended, b in ended]

    assert await fetch(app) == [False, False]


async def test_an_app_dependency_is_made_once_even_by_requests_at_the_same_time() -> None:
    made = 0

    async def slow() -> AsyncIterator[int]:
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        yield made
        made = 0

    app = Oxidite()

    @app.get("/")
    async def handler(number: int = Depends(slow, scope="app")) -> int:
        return number

    async with Client(app) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
        assert [answer.json() for answer in answers] == [1] * 5
    assert made == 0
    assert await fetch(app) == 1


async def test_an_app_dependency_that_failed_is_made_anew() -> None:
    tries = 0

    async def shaky() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NotFoundError("not yet")
        return tries

    app = Oxidite()

    @app.get("/")
    async def handler(number: int = Depends(shaky, scope="app")) -> int:
        return number

    async with Client(app) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/")).json() == 2
        assert (await client.get("/")).json() == 2


class Pool:
    """A resource that can only be used while it is open."""

    is_open = False

    async def __aenter__(self) -> Pool:
        self.is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_open = False


async def test_an_app_dependency_ends_before_the_resources_it_uses() -> None:
    seen: list[bool] = []

    async def session(pool: Pool) -> AsyncIterator[Pool]:
        yield pool
        seen.append(pool.is_open)

    app = Oxidite(resources=[Pool()])

    @app.get("/")
    async def handler(pool: Annotated[Pool, Depends(session, scope="app")]) -> bool:
        return pool.is_open

    assert await fetch(app) is True
    assert seen == [True]


@pytest.mark.parametrize(
    ("outer", "inner", "fine"),
    [
        ("app", "app", True),
        ("app", "stream", False),
        ("app", "request", False),
        ("app", "handler", False),
        ("stream", "app", True),
        ("stream", "request", False),
        ("request", "stream", True),
        ("request", "handler", False),
        ("handler", "request", True),
        ("handler", "handler", True),
    ],
)
def test_a_dependency_that_outlives_what_it_uses_is_refused(
    outer: Scope, inner: Scope, fine: bool
) -> None:
    async def short() -> int:
        return 1

    async def long(number: int = Depends(short, scope=inner)) -> int:
        return number

    async def handler(number: int = Depends(long, scope=outer)) -> int:
        return number

    app = Oxidite()
    if fine:
        app.get("/")(handler)
        return
    with pytest.raises(RouteError) as caught:
        app.get("/")(handler)

    line = long.__code__.co_firstlineno
    assert f"test_depends.py:{line} " in caught.value.message
    assert (
        f"long(): 'number' has scope {inner!r} and ends before {outer!r}, the scope of what uses it. "
        "Give both the same scope." in caught.value.message
    )


async def of_header(x_token: Header[str] = "") -> str:
    return x_token


async def of_request(request: Request) -> str:
    return request.path


@pytest.mark.parametrize(
    ("provider", "source"), [(of_async, "query"), (of_header, "header"), (of_request, "request")]
)
def test_an_app_dependency_cannot_use_a_request(
    provider: Callable[..., Awaitable[Any]], source: str
) -> None:
    async def handler(made: Annotated[Any, Depends(provider, scope="app")]) -> None: ...

    with pytest.raises(
        RouteError, match=rf"comes from the request \({source}\).*made once for all"
    ):
        Oxidite().get("/")(handler)


def test_an_unknown_scope_is_refused_with_those_there_are() -> None:
    scope: Any = "session"
    with pytest.raises(RouteError, match="use one of app, stream, request, handler"):
        Depends(of_async, scope=scope)


@pytest.mark.parametrize("provider", [3, "name", None])
def test_what_cannot_be_called_is_no_provider(provider: Any) -> None:
    with pytest.raises(RouteError, match="this cannot be called, so it makes nothing"):
        Depends(provider)


def test_a_provider_that_does_not_tell_its_parameters_is_refused() -> None:
    async def handler(made: Annotated[str, Depends(str)]) -> None: ...

    with pytest.raises(RouteError, match=r"does not tell its parameters\. Call it"):
        Oxidite().get("/")(handler)


# Circles.


def test_dependencies_in_a_circle_are_refused_with_the_way_round() -> None:
    async def first(made: Annotated[str, "replaced below"]) -> str:
        return ""

    async def second(made: Annotated[str, Depends(first)]) -> str:
        return ""

    first.__annotations__["made"] = Annotated[str, Depends(second)]

    async def handler(made: Annotated[str, Depends(first)]) -> None: ...

    with pytest.raises(RouteError) as caught:
        Oxidite().get("/")(handler)

    message = caught.value.message
    assert "'made' depends on itself: " in message
    way = message.partition("depends on itself: ")[2]
    names = [step.rpartition(".")[2].removesuffix("()") for step in way.rstrip(".").split(" → ")]
    assert names == ["first", "second", "first"]


# Errors.


async def test_errors_of_dependencies_and_of_the_handler_come_at_once() -> None:
    async def pager(limit: int, after: Annotated[Header[int], "x"]) -> int:
        raise AssertionError("not called with errors")

    app = Oxidite()

    @app.get("/")
    async def handler(page: Annotated[int, Depends(pager)], number: int) -> None: ...

    document = await fetch(app, "/?limit=x&number=y")

    assert [(e["parameter"], e["code"]) for e in document["errors"]] == [
        ("limit", "type"),
        ("after", "missing"),
        ("number", "type"),
    ]


async def test_what_a_dependency_says_of_the_request_is_told_with_the_rest() -> None:
    async def unique(name: str) -> str:
        raise ValidationError([FieldError("query", "taken", name="name", code="taken")])

    app = Oxidite()

    @app.get("/")
    async def handler(name: Annotated[str, Depends(unique)], number: int = 1) -> None: ...

    alone = await fetch(app, "/?name=a")
    both = await fetch(app, "/?name=a&number=x")

    assert [e["code"] for e in alone["errors"]] == ["taken"]
    assert sorted(e["code"] for e in both["errors"]) == ["taken", "type"]


async def test_a_validation_error_of_its_own_keeps_its_message() -> None:
    async def check() -> None:
        raise ValidationError([FieldError("body", "no", pointer="/a")], "Try another day.")

    app = Oxidite()

    @app.get("/")
    async def handler(checked: Annotated[None, Depends(check)]) -> None: ...

    assert (await fetch(app))["detail"] == "Try another day."


async def test_a_provider_that_fails_ends_what_was_begun_before_it() -> None:
    log: Log = []
    before = note(log, "before")

    async def failing(begun: str = Depends(before)) -> str:
        raise NotFoundError("no such user")

    app = Oxidite()

    @app.get("/")
    async def handler(made: str = Depends(failing)) -> str:
        raise AssertionError("not reached")

    assert (await fetch(app))["detail"] == "no such user"
    assert log == ["+before", "!before NotFoundError", "-before"]


@pytest.mark.parametrize("scope", ["handler", "request"])
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_generator_may_turn_the_exception_into_another(scope: Scope, kind: str) -> None:
    async def asynchronous() -> AsyncIterator[None]:
        try:
            yield
        except KeyError as exc:
            raise NotFoundError(f"no {exc.args[0]}") from exc

    def synchronous() -> Iterator[None]:
        try:
            yield
        except KeyError as exc:
            raise NotFoundError(f"no {exc.args[0]}") from exc

    provider: Any = asynchronous if kind == "async" else synchronous
    app = Oxidite(debug=False)

    @app.get("/")
    async def handler(made: Annotated[None, Depends(provider, scope=scope)]) -> None:
        raise KeyError("user")

    async with Client(app, raise_errors=False) as client:
        response = await client.get("/")

    assert (response.status_code, response.json()["detail"]) == (404, "no user")


@pytest.mark.parametrize("scope", ["handler", "request"])
async def test_a_clean_up_that_fails_is_the_answer(scope: Scope) -> None:
    async def provider() -> AsyncIterator[None]:
        yield
        raise NotFoundError("the commit failed")

    app = Oxidite()

    @app.get("/")
    async def handler(made: Annotated[None, Depends(provider, scope=scope)]) -> str:
        return "done"

    assert (await fetch(app))["detail"] == "the commit failed"


async def test_a_generator_that_yields_twice_is_an_error() -> None:
    async def provider() -> AsyncIterator[int]:
        yield 1
        yield 2

    app = Oxidite(debug=False)

    @app.get("/")
    async def handler(number: int = Depends(provider)) -> int:
        return number

    async with Client(app) as client:
        with pytest.raises(RuntimeError, match="didn't stop"):
            await client.get("/")


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_was_begun_sees_that_the_handler_was_cancelled(kind: str) -> None:
    log: Log = []
    running = asyncio.Event()

    def synchronous() -> Iterator[None]:
        try:
            yield
            log.append("commit")
        except BaseException as exc:
            log.append(f"rollback {type(exc).__name__}")
            raise

    async def asynchronous() -> AsyncIterator[None]:
        try:
            yield
            log.append("commit")
        except BaseException as exc:
            log.append(f"rollback {type(exc).__name__}")
            raise

    provider: Any = asynchronous if kind == "async" else synchronous
    of_handler = note(log, "handler")
    app = Oxidite()

    @app.get("/")
    async def handler(
        made: Annotated[None, Depends(provider)], other: str = Depends(of_handler, scope="handler")
    ) -> None:
        running.set()
        await asyncio.Event().wait()

    async with app.running():
        request = Request.of("GET", "/", resources=app.lifespan)
        task = asyncio.ensure_future(app.handle(request))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert log == [
        *["+handler", "!handler CancelledError", "-handler", "rollback CancelledError"],
    ]


# Context.

language: ContextVar[str] = ContextVar("language", default="en")


async def test_a_context_variable_set_by_a_dependency_is_seen_by_the_handler() -> None:
    async def set_language(lang: str) -> None:
        language.set(lang)

    async def with_language(lang: str) -> AsyncIterator[None]:
        language.set(lang + "!")
        yield

    app = Oxidite()

    @app.get("/a")
    async def a(made: Annotated[None, Depends(set_language)]) -> list[str]:
        return [language.get()]

    @app.get("/b")
    def b(made: Annotated[None, Depends(with_language)]) -> list[str]:
        return [language.get()]

    assert await fetch(app, "/a?lang=de") == ["de"]
    assert await fetch(app, "/b?lang=de") == ["de!"]
    assert language.get() == "en"


# Parameters of the path.


async def number_of(post_id: int) -> int:
    return post_id


async def doubled(number: Annotated[int, Depends(number_of)]) -> int:
    return number * 2


class Wanted:
    def __init__(self, post_id: int, full: bool = False) -> None:
        self.number = post_id


async def number_or_none(post_id: int | None = None) -> int | None:
    return post_id


def as_handlers(app: Oxidite | Router, path: str) -> None:
    """Register handlers at ``path`` that leave it to a dependency to say what ``post_id`` is."""

    @app.get(f"{path}/direct")
    async def direct(number: Annotated[int, Depends(number_of)]) -> list[object]:
        return [number]

    @app.get(f"{path}/nested")
    async def nested(number: Annotated[int, Depends(doubled)]) -> list[object]:
        return [number]

    @app.get(f"{path}/class")
    async def of_class(wanted: Wanted = Depends(Wanted)) -> list[object]:
        return [wanted.number]

    @app.get(f"{path}/optional")
    async def optional(number: Annotated[Any, Depends(number_or_none)]) -> list[object]:
        return [number]

    @app.get(f"{path}/both")
    async def both(post_id: object, number: Annotated[int, Depends(number_of)]) -> list[object]:
        return [post_id, number]


KINDS = {"direct": [7], "nested": [14], "class": [7], "optional": [7], "both": [7, 7]}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_parameter_that_only_a_dependency_declares_has_its_type_in_the_path(
    kind: str,
) -> None:
    app = Oxidite()
    as_handlers(app, "/posts/{post_id}")

    assert f"/posts/{{post_id:int}}/{kind}" in {route.path for route in app.routes}
    async with Client(app) as client:
        assert (await client.get(f"/posts/7/{kind}")).json() == KINDS[kind]
        assert (await client.get(f"/posts/x/{kind}")).status_code == 404


@pytest.mark.parametrize("kind", KINDS)
async def test_that_parameter_may_stand_in_the_prefix_of_a_group(kind: str) -> None:
    app = Oxidite()
    as_handlers(app.group("/outer").group("/posts/{post_id}"), "")

    async with Client(app) as client:
        assert (await client.get(f"/outer/posts/7/{kind}")).json() == KINDS[kind]
        assert (await client.get(f"/outer/posts/x/{kind}")).status_code == 404


async def test_a_dependency_may_use_a_parameter_where_there_is_one_and_do_without() -> None:
    app = Oxidite()

    @app.get("/posts")
    @app.get("/posts/{post_id}")
    async def handler(number: Annotated[Any, Depends(number_or_none)]) -> list[object]:
        return [number]

    assert [route.path for route in app.routes] == ["/posts/{post_id:int}", "/posts"]
    assert await fetch(app, "/posts/7") == [7]
    assert await fetch(app, "/posts?post_id=8") == [8]
    assert await fetch(app, "/posts") == [None]


async def test_the_narrower_route_is_found_by_what_a_dependency_says() -> None:
    app = Oxidite()

    @app.get("/posts/{slug}")
    async def by_slug(slug: str) -> list[object]:
        return [slug]

    @app.get("/posts/{post_id}")
    async def by_number(number: Annotated[int, Depends(number_of)]) -> list[object]:
        return [number]

    assert await fetch(app, "/posts/7") == [7]
    assert await fetch(app, "/posts/seven") == ["seven"]


async def test_a_parameter_that_a_dependency_reads_from_elsewhere_says_nothing_of_the_path() -> (
    None
):
    async def of_query(post_id: Query[int]) -> int:
        return post_id

    app = Oxidite()

    @app.get("/posts/{post_id}")
    async def handler(number: Annotated[int, Depends(of_query)]) -> list[object]:
        return [number]

    assert [route.path for route in app.routes] == ["/posts/{post_id}"]
    assert await fetch(app, "/posts/x?post_id=7") == [7]


async def test_a_dependency_that_reads_the_host_does_not_touch_the_path() -> None:
    async def of_host(tenant: str, post_id: int) -> str:
        return f"{tenant} {post_id}"

    app = Oxidite()
    group = app.group("/posts", host="{tenant}.example.com")

    @group.get("/{post_id}")
    async def handler(made: Annotated[str, Depends(of_host)]) -> list[str]:
        return [made]

    headers = {"host": "acme.example.com"}
    assert [route.path for route in app.routes] == ["/posts/{post_id:int}"]
    assert await fetch(app, "/posts/7", headers=headers) == ["acme 7"]


# In tests.


async def current_user(x_user: Header[str]) -> str:
    return x_user


def with_user() -> Oxidite:
    app = Oxidite()
    inner = Router("/inner")

    async def greeting(user: Annotated[str, Depends(current_user)]) -> str:
        return f"Hello {user}"

    @inner.get("/")
    async def nested(text: Annotated[str, Depends(greeting)], number: int = 1) -> list[object]:
        return [text, number]

    @app.get("/")
    async def direct(user: Annotated[str, Depends(current_user)]) -> list[str]:
        return [user]

    app.include(inner)
    return app


async def test_another_provider_may_stand_in_for_the_length_of_a_test() -> None:
    app = with_user()

    async def somebody() -> str:
        return "Ann"

    async with Client(app, dependencies={current_user: somebody}) as client:
        assert (await client.get("/")).json() == ["Ann"]
        assert (await client.get("/inner")).json() == ["Hello Ann", 1]
    async with Client(app) as client:
        assert (await client.get("/")).status_code == 422


async def test_a_stand_in_has_parameters_and_clean_up_of_its_own() -> None:
    log: Log = []

    async def stand_in(name: str) -> AsyncIterator[str]:
        yield name
        log.append("ended")

    async with Client(with_user(), dependencies={current_user: stand_in}) as client:
        assert (await client.get("/?name=Bob")).json() == ["Bob"]
    assert log == ["ended"]


async def test_only_the_stand_ins_parameters_are_asked_for() -> None:
    async def stand_in(name: str) -> str:
        return name

    async with Client(with_user(), dependencies={current_user: stand_in}) as client:
        response = await client.get("/inner?number=x")

    assert [e["parameter"] for e in response.json()["errors"]] == ["name", "number"]


async def test_a_stand_in_for_an_app_dependency_is_not_kept_after_the_test() -> None:
    async def real() -> str:
        return "real"

    app = Oxidite()

    @app.get("/")
    async def handler(made: Annotated[str, Depends(real, scope="app")]) -> list[str]:
        return [made]

    async with app.running():
        async with Client(app) as client:
            assert (await client.get("/")).json() == ["real"]
        async with Client(app, dependencies={real: lambda: "stand-in"}) as client:
            assert (await client.get("/")).json() == ["stand-in"]
        async with Client(app) as client:
            assert (await client.get("/")).json() == ["real"]


@pytest.mark.parametrize("scope", ["stream", "request", "handler", "app"])
async def test_a_generator_may_be_a_context_manager_already(scope: Scope) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def session(word: str) -> AsyncIterator[str]:
        log.append(f"open {word}")
        try:
            yield word
        except ValueError:
            log.append("undo")
            raise
        finally:
            log.append(f"close {word}")

    @contextmanager
    def lock() -> Iterator[int]:
        log.append("lock")
        yield threading.get_ident()
        log.append("unlock")

    app = Oxidite()
    given = partial(session, word="tea")

    @app.get("/")
    async def handler(
        fails: bool = False,
        made: str = Depends(given, scope=scope),
        thread: int = Depends(lock, scope="request"),
    ) -> list[object]:
        if fails:
            raise ValueError
        return [made, thread != threading.get_ident()]

    assert await fetch(app) == ["tea", True]
    assert sorted(log) == ["close tea", "lock", "open tea", "unlock"]
    log.clear()
    async with Client(app, raise_errors=False) as client:
        assert (await client.get("/?fails=true")).status_code == 500
    assert log[0] == "open tea"
    assert log[-1] == "close tea"
    assert ("undo" in log) is (scope in ("request", "handler"))


# Resources.


async def test_a_resource_is_found_by_its_type_in_handlers_and_dependencies() -> None:
    pool = Pool()

    async def open_pool(pool: Pool) -> bool:
        return pool.is_open

    app = Oxidite(resources=[pool])

    @app.get("/")
    async def handler(pool: Pool, opened: Annotated[bool, Depends(open_pool)]) -> list[bool]:
        return [pool.is_open, opened]

    assert await fetch(app) == [True, True]


class Settings:
    def __init__(self, word: str = "default") -> None:
        self.word = word


GIVEN = Settings("given")


async def test_a_resource_that_is_not_there_may_have_a_default_or_be_none() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler(a: Pool | None, b: Pool | None = None, c: Settings = GIVEN) -> list[object]:
        return [a, b, c.word]

    assert await fetch(app) == [None, None, "given"]

    @asynccontextmanager
    async def settings() -> AsyncIterator[Settings]:
        yield Settings("opened")

    app.lifespan.add(Pool())
    app.lifespan.add(settings())

    @app.get("/again")
    async def again(a: Pool | None, c: Settings = GIVEN) -> list[object]:
        return [a is not None, c.word]

    assert await fetch(app, "/again") == [True, "opened"]


async def test_a_resource_that_nothing_makes_is_refused_when_the_application_starts() -> None:
    async def uses(pool: Pool) -> None: ...

    app = Oxidite()

    @app.get("/")
    async def handler(made: Annotated[None, Depends(uses)]) -> None: ...

    with pytest.raises(RouteError) as caught:
        async with app.running():
            pass

    assert (
        "uses(): 'pool' (Pool): nothing makes it. Add a Pool to resources=[…], or a default."
        in caught.value.message
    )
    assert f"test_depends.py:{uses.__code__.co_firstlineno} " in caught.value.message
    assert not app.lifespan.is_open


async def test_a_resource_may_be_replaced_in_a_test() -> None:
    app = Oxidite(resources=[Pool()])

    @app.get("/")
    async def handler(pool: Pool) -> bool:
        return pool.is_open

    stand_in = Pool()
    async with Client(app, resources={Pool: stand_in}) as client:
        assert (await client.get("/")).json() is False
    assert await fetch(app) is True
