from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import Response as Answer
from hypothesis import given
from hypothesis import strategies as st

from oxidite import (
    BadRequestError,
    NotFoundError,
    Oxidite,
    Request,
    Response,
    StreamingResponse,
    clock,
)
from oxidite.clock import TravelClock
from oxidite.errors import BackendUnavailableError, ConfigError, HTTPError
from oxidite.middleware import Attempt, MemoryReplies, Reply, idempotency
from oxidite.middleware.idempotent import IdempotencyKeyError, _key_of
from oxidite.servers import choose_interface
from oxidite.testing import Client


class Shop:
    """An application that counts what it does."""

    def __init__(self, **options: Any) -> None:
        self.app = app = Oxidite(middleware=[idempotency(**options)])
        self.done: list[str] = []
        self.answers: list[Response | Exception] = []

        @app.post("/orders")
        async def order(request: Request) -> Response:
            self.done.append((await request.body()).decode())
            if self.answers:
                answer = self.answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer
            number = str(len(self.done))
            return Response(f"order {number}", 201, headers={"location": f"/orders/{number}"})

        @app.put("/orders/{id:int}")
        async def change(id: int) -> str:
            self.done.append("changed")
            return "changed"

        @app.post("/required", meta={"idempotency": True})
        async def need() -> str:
            return "done"

        @app.post("/off", meta={"idempotency": False})
        async def off() -> str:
            self.done.append("off")
            return "off"

        @app.post("/notes/{name}")
        async def note(name: str) -> str:
            self.done.append(name)
            return name

    def client(self, **headers: str) -> Client:
        return Client(self.app, headers=headers, raise_errors=False)


async def order(
    client: Client,
    key: str | None = '"k1"',
    content: str = "cup",
    path: str = "/orders",
    **more: str,
) -> Answer:
    headers = more | ({} if key is None else {"idempotency-key": key})
    return await client.post(path, content=content, headers=headers)


async def test_the_same_request_is_answered_again_and_not_done_again() -> None:
    shop = Shop()
    async with shop.client() as client:
        first = await order(client)
        again = await order(client)

    assert shop.done == ["cup"]
    assert (again.status_code, again.text) == (first.status_code, first.text) == (201, "order 1")
    assert again.headers["location"] == "/orders/1"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_without_a_key_and_with_another_key_it_is_done_again() -> None:
    shop = Shop()
    async with shop.client() as client:
        for key in (None, None, "a", "b"):
            assert (await order(client, key)).status_code == 201

    assert len(shop.done) == 4


async def test_repeated_fields_are_kept() -> None:
    shop = Shop()
    answer = Response("set")
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    shop.answers = [answer]
    async with shop.client() as client:
        await order(client)
        client.cookies.clear()
        again = await order(client)

    assert len(again.headers.get_list("set-cookie")) == 2


async def test_another_request_with_the_key_is_refused() -> None:
    shop = Shop()
    async with shop.client() as client:
        await order(client)
        other = await order(client, content="plate")
        query = await order(client, path="/orders?gift=1")

    assert shop.done == ["cup"]
    for answer in (other, query):
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency_mismatch"
        assert answer.json()["title"] == "Unprocessable Content"


async def test_one_that_comes_while_the_first_is_being_answered_is_told_to_wait() -> None:
    app = Oxidite(middleware=[idempotency()])
    go_on, inside = asyncio.Event(), asyncio.Event()
    done = []

    @app.post("/orders")
    async def slow() -> str:
        inside.set()
        await go_on.wait()
        done.append(1)
        return "done"

    async with Client(app) as client:
        first = asyncio.create_task(order(client))
        await inside.wait()
        second = await order(client)
        other = await order(client, content="plate")
        go_on.set()
        answered = await first
        third = await order(client)

    assert done == [1]
    assert (second.status_code, second.headers["retry-after"]) == (409, "1")
    assert second.json()["code"] == "idempotency_in_progress"
    assert other.status_code == 422
    assert answered.text == third.text == "done"


async def test_of_fifty_at_the_same_time_one_is_done() -> None:
    shop = Shop()
    async with shop.client() as client:
        answers = await asyncio.gather(*(order(client) for _ in range(50)))

    assert len(shop.done) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


# Whose key it is.


async def test_a_key_is_that_of_a_user_and_of_a_route() -> None:
    shop = Shop()
    async with shop.client() as client:
        await order(client, authorization="Bearer one")
        await order(client, authorization="Bearer two")
        await order(client, cookie="id=1")
        await order(client, path="/notes/a", content="cup")
        assert (await order(client, path="/notes/b", content="cup")).status_code == 422

    assert shop.done == ["cup", "cup", "cup", "a"]


async def test_what_a_user_is_can_be_said() -> None:
    shop = Shop(scope=lambda request: request.headers.get("x-user"))
    async with shop.client() as client:
        await order(client, **{"x-user": "1", "cookie": "id=1"})
        await order(client, **{"x-user": "1", "cookie": "id=2"})
        await order(client, **{"x-user": "2"})

    assert len(shop.done) == 2


async def test_only_some_methods_are_kept() -> None:
    shop = Shop()
    async with shop.client() as client:
        for _ in range(2):
            await client.put("/orders/1", headers={"idempotency-key": "k"})

    assert shop.done == ["changed", "changed"]


async def test_a_route_may_need_a_key_or_do_without() -> None:
    shop = Shop()
    async with shop.client() as client:
        missing = await order(client, None, path="/required")
        assert (await order(client, path="/required")).status_code == 200
        await order(client, path="/off")
        await order(client, path="/off")

    assert missing.status_code == 400
    assert missing.json()["code"] == "idempotency_key"
    assert shop.done == ["off", "off"]


async def test_a_missing_key_points_to_the_documentation() -> None:
    shop = Shop(required=True, documentation="https://example.com/keys")
    async with shop.client() as client:
        missing = await order(client, None)
        wrong = await order(client, "a b")
        await order(client)
        mismatch = await order(client, content="plate")

    for answer, status in ((missing, 400), (wrong, 400), (mismatch, 422)):
        assert answer.status_code == status
        assert answer.headers["link"] == '<https://example.com/keys>; rel="describedby"'


# What a key looks like.


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ('"8e03978e-40d5-43e8-bc93-6894a57f9324"', "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (r'"a \"b\" \\"', r'a "b" \ '[:-1]),
        ("k" * 255, "k" * 255),
    ],
)
def test_a_key_is_a_string_or_bare(sent: str, key: str) -> None:
    assert _key_of(Request.of("POST", headers={"idempotency-key": sent}), {}) == key


@pytest.mark.parametrize(
    "sent",
    ["", '""', '"', '"a', 'a"', '"a"b', "a b", r'"\x"', "a\\b", "ä", "k" * 256, "k" * 1_000_000],
)
def test_what_is_no_key_is_refused(sent: str) -> None:
    with pytest.raises(IdempotencyKeyError):
        _key_of(Request.of("POST", headers={"idempotency-key": sent}), {})


def test_two_keys_are_none() -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "a")]
    with pytest.raises(IdempotencyKeyError):
        _key_of(Request.of("POST", headers=headers), {})


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_field_is_a_key_or_refused(text: str) -> None:
    try:
        key = _key_of(Request.of("POST", headers={"idempotency-key": text}), {})
    except IdempotencyKeyError:
        return
    assert key
    assert len(key) <= 255


# Failures.


class TeapotError(HTTPError):
    """A teapot."""

    status = 418


@pytest.mark.parametrize(
    ("failure", "kept"),
    [
        (LookupError("broken"), False),
        (Response("busy", 503), False),
        (Response("again", 429), False),
        (Response("who", 401), False),
        (Response("other", 409), False),
        (BadRequestError("no"), True),
        (NotFoundError("none"), True),
        (TeapotError("short and stout"), True),
        (Response("moved", 303), True),
    ],
    ids=str,
)
async def test_a_failure_gives_the_key_back_and_a_refusal_is_kept(
    failure: Response | Exception, kept: bool
) -> None:
    shop = Shop()
    shop.answers = [failure]
    async with shop.client() as client:
        first = await order(client)
        again = await order(client)

    assert len(shop.done) == (1 if kept else 2)
    assert again.status_code == (first.status_code if kept else 201)


async def test_a_cancelled_request_gives_the_key_back() -> None:
    store = MemoryReplies()
    app = Oxidite(middleware=[idempotency(store=store)])
    inside = asyncio.Event()

    @app.post("/orders")
    async def slow() -> str:
        inside.set()
        await asyncio.Event().wait()
        return "never"

    async with app.running():
        request = Request.of(
            "POST", "/orders", headers={"idempotency-key": "k"}, resources=app.lifespan
        )
        task = asyncio.ensure_future(app.handle(request))
        await inside.wait()
        assert len(store) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert len(store) == 0


async def test_an_answer_is_kept_even_if_the_request_is_cancelled_while_that_is_done() -> None:
    kept, may_end = asyncio.Event(), asyncio.Event()

    class Slow(MemoryReplies):
        async def finish(self, key: str, owner: str, reply: Reply, *, ttl: float) -> None:
            kept.set()
            await may_end.wait()
            await super().finish(key, owner, reply, ttl=ttl)

    shop = Shop(store=Slow())
    headers = {"idempotency-key": "k"}
    async with shop.app.running():
        first = Request.of("POST", "/orders", headers=headers, resources=shop.app.lifespan)
        task = asyncio.ensure_future(shop.app.handle(first))
        await kept.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_end.set()
        await clock.sleep(0)
        await clock.sleep(0)
        again = Request.of("POST", "/orders", headers=headers, resources=shop.app.lifespan)
        response = await shop.app.handle(again)

    assert response.headers["idempotent-replayed"] == "true"
    assert shop.done == [""]


async def test_streams_and_large_answers_are_not_kept() -> None:
    async def content() -> AsyncIterator[str]:
        yield "stream"

    shop = Shop(max_reply=1000)
    shop.answers = [StreamingResponse(content()), Response("x" * 1001)]
    async with shop.client() as client:
        assert (await order(client)).text == "stream"
        assert len((await order(client)).text) == 1001
        assert (await order(client)).text == "order 3"
        assert (await order(client)).text == "order 3"


async def test_an_answer_is_kept_for_a_time() -> None:
    with clock.use(TravelClock()) as travel:
        shop = Shop(ttl=60)
        async with shop.client() as client:
            await order(client)
            travel.jump(59)
            assert (await order(client)).text == "order 1"
            travel.jump(1)
            assert (await order(client)).text == "order 2"


async def test_a_body_that_is_too_large_is_refused_as_ever() -> None:
    shop = Shop()
    async with shop.client() as client:
        assert (await order(client, content="x" * 2_000_000)).status_code == 413

    assert shop.done == []


# The store.


class Failing(MemoryReplies):
    def __init__(self, *methods: str) -> None:
        super().__init__()
        self.methods = methods

    async def begin(
        self, key: str, fingerprint: str, owner: str, *, lease: float
    ) -> Attempt | None:
        if "begin" in self.methods:
            raise BackendUnavailableError("no store")
        return await super().begin(key, fingerprint, owner, lease=lease)

    async def finish(self, key: str, owner: str, reply: Reply, *, ttl: float) -> None:
        raise BackendUnavailableError("no store")


async def test_without_the_store_nothing_is_done(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(store=Failing("begin"))
    async with shop.client() as client:
        answer = await order(client)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert shop.done == []
    assert "the store of replies failed" in caplog.text


async def test_what_could_not_be_kept_is_not_done_again(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(store=Failing())
    async with shop.client() as client:
        assert (await order(client)).status_code == 201
        assert (await order(client)).status_code == 409

    assert shop.done == ["cup"]
    assert "the store of replies failed" in caplog.text


REPLY = Reply(200, [], b"x" * 1000)


async def test_one_that_was_given_up_and_comes_back_changes_nothing() -> None:
    store = MemoryReplies()
    with clock.use(TravelClock()) as travel:
        assert await store.begin("k", "f", "one", lease=10) is None
        assert await store.begin("k", "f", "two", lease=10) == Attempt("f")
        travel.jump(10)
        assert await store.begin("k", "f", "two", lease=10) is None
        await store.finish("k", "one", REPLY, ttl=60)
        await store.release("k", "one")
        assert await store.begin("k", "f", "three", lease=10) == Attempt("f")
        await store.finish("k", "two", REPLY, ttl=60)
        assert await store.begin("k", "f", "three", lease=10) == Attempt("f", REPLY)


async def keep(store: MemoryReplies, key: str) -> None:
    await store.begin(key, "f", key, lease=10)
    await store.finish(key, key, REPLY, ttl=60)


@pytest.mark.parametrize(
    "store", [MemoryReplies(max_keys=10), MemoryReplies(max_bytes=15_000)], ids=["keys", "bytes"]
)
async def test_an_attack_of_many_keys_fills_no_memory(store: MemoryReplies) -> None:
    for number in range(1000):
        await keep(store, str(number))

    assert len(store) == 10
    assert await store.begin("999", "f", "o", lease=10) == Attempt("f", REPLY)


async def test_what_has_ended_is_forgotten() -> None:
    store = MemoryReplies()
    with clock.use(TravelClock()) as travel:
        await keep(store, "a")
        travel.jump(60)
        await keep(store, "b")

    assert len(store) == 1


def test_mistakes_are_told_at_once() -> None:
    wrong: list[dict[str, Any]] = [{"ttl": 0}, {"lease": -1}, {"max_reply": 0}]
    for options in wrong:
        with pytest.raises(ConfigError, match="more than 0"):
            idempotency(**options)
    with pytest.raises(ValueError, match="header value"):
        idempotency(documentation="https://example.com/\r\nx: y")
    with pytest.raises(ConfigError, match="needs room"):
        MemoryReplies(max_keys=0)


def test_complete_bodies_stay_complete() -> None:
    app = Oxidite(middleware=[idempotency()])

    @app.post("/")
    async def home() -> str:
        return "home"

    assert choose_interface(app, rsgi=True)[0] == "rsgi"
