from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import pytest
from httpx2 import Response as Answer

from oxidite import Oxidite, Request, Response, StreamingResponse, clock
from oxidite.clock import TravelClock
from oxidite.errors import BackendUnavailableError, ConfigError
from oxidite.http import Handler, Middleware
from oxidite.middleware import cors, limit, rate_limit
from oxidite.middleware.ratelimit import Key, by_address, by_header
from oxidite.middleware.ratelimit.fields import whole
from oxidite.rates import Claim, MemoryRates, Rule, Verdict
from oxidite.servers import choose_interface
from oxidite.testing import Client


def application(*middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=middleware)

    @app.get("/")
    async def home() -> str:
        return "home"

    @app.get("/search", meta=limit("1/minute"))
    async def search() -> str:
        return "found"

    @app.get("/export", meta=limit(cost=3))
    async def export() -> str:
        return "exported"

    @app.get("/health", meta=limit(exempt=True))
    async def health() -> str:
        return "well"

    @app.get("/free", meta=limit("2/minute", exempt=True))
    async def free() -> str:
        return "free"

    return app


async def statuses(client: Client, path: str, count: int, **headers: str) -> list[int]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return [(await client.get(path, headers=sent)).status_code for _ in range(count)]


async def test_more_than_allowed_is_429_and_later_it_is_not() -> None:
    with clock.use(TravelClock()) as travel:
        async with Client(application(rate_limit("3/minute"))) as client:
            assert await statuses(client, "/", 4) == [200, 200, 200, 429]
            travel.jump(60)
            assert await statuses(client, "/", 4) == [200, 200, 200, 429]


async def test_every_answer_tells_what_is_left() -> None:
    with clock.use(TravelClock()) as travel:
        async with Client(application(rate_limit("3/minute", "60/day"))) as client:
            await client.get("/")
            travel.jump(10)
            response = await client.get("/")
            missing = await client.get("/nowhere")

    assert (
        response.headers["ratelimit-policy"] == '"3-per-minute";q=3;w=60, "60-per-day";q=60;w=86400'
    )
    assert response.headers["ratelimit"] == '"3-per-minute";r=1;t=50, "60-per-day";r=58;t=86390'
    assert missing.status_code == 404
    assert missing.headers["ratelimit"].startswith('"3-per-minute";r=0')


async def test_who_is_refused_is_told_why_and_when_to_come_again() -> None:
    with clock.use(TravelClock()) as travel:
        async with Client(application(rate_limit("1/minute", "60/day"))) as client:
            await client.get("/")
            travel.jump(10.5)
            response = await client.get("/")

    assert response.status_code == 429
    assert response.headers["retry-after"] == "50"
    assert response.headers["ratelimit"].startswith('"1-per-minute";r=0;t=50, "60-per-day";r=59')
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["code"] == "rate_limited"
    assert problem["violated-policies"] == ["1-per-minute"]
    assert problem["detail"] == "At most 1 in 60 seconds. Try again in 50 seconds."


async def test_a_page_of_another_origin_may_read_that_too() -> None:
    app = application(cors(["https://example.com"]), rate_limit("1/minute"))
    async with Client(app, headers={"origin": "https://example.com"}) as client:
        await client.get("/")
        response = await client.get("/")

    assert response.status_code == 429
    assert response.headers["access-control-allow-origin"] == "https://example.com"


def test_cors_inside_of_limits_is_an_application_that_does_not_start() -> None:
    app = application(rate_limit("1/minute"), cors(["https://example.com"]))

    async def start() -> None:
        async with app.running():
            pass

    with pytest.raises(ConfigError, match="cors has to stand outside of rate_limit"):
        asyncio.run(start())


# What a route says.


async def test_a_route_may_have_limits_of_its_own_beside_the_others() -> None:
    async with Client(application(rate_limit("4/minute"))) as client:
        assert await statuses(client, "/search", 2) == [200, 429]
        assert await statuses(client, "/", 4) == [200, 200, 200, 429]
        response = await client.get("/search")

    assert (
        response.headers["ratelimit-policy"] == '"4-per-minute";q=4;w=60, "1-per-minute";q=1;w=60'
    )
    assert response.json()["violated-policies"] == ["4-per-minute", "1-per-minute"]


async def test_a_route_may_cost_more() -> None:
    async with Client(application(rate_limit("7/minute"))) as client:
        assert await statuses(client, "/export", 3) == [200, 200, 429]
        assert await statuses(client, "/", 2) == [200, 429]


async def test_a_route_may_be_exempt_or_have_other_limits_instead() -> None:
    async with Client(application(rate_limit("1/minute"))) as client:
        assert await statuses(client, "/health", 5) == [200] * 5
        assert await statuses(client, "/free", 3) == [200, 200, 429]
        health = await client.get("/health")

    assert "ratelimit" not in health.headers


async def test_what_is_said_of_several_routes_counts_for_each() -> None:
    app = Oxidite(middleware=[rate_limit()])
    shared = limit("1/minute")

    @app.get("/a", meta=shared)
    async def a() -> str:
        return "a"

    @app.get("/b/{id:int}", meta=shared)
    async def b(id: int) -> int:
        return id

    async with Client(app) as client:
        assert await statuses(client, "/a", 2) == [200, 429]
        assert await statuses(client, "/b/1", 1) == [200]
        assert await statuses(client, "/b/2", 1) == [429]


async def test_a_request_may_cost_what_a_function_says() -> None:
    def cost(request: Request) -> int:
        return int(request.query.get("size", "1"))

    app = application(rate_limit("10/minute", cost=cost))
    async with Client(app, raise_errors=False) as client:
        assert await statuses(client, "/?size=8", 2) == [200, 429]
        assert await statuses(client, "/?size=0", 3) == [200] * 3
        assert await statuses(client, "/?size=11", 1) == [429]
        assert await statuses(client, "/?size=-1", 1) == [500]
        assert await statuses(client, "/?size=2", 2) == [200, 429]


async def test_limits_stand_on_a_group_or_a_route_as_well_and_all_are_told() -> None:
    app = Oxidite(middleware=[rate_limit("5/minute")])
    group = app.group("/group", middleware=[rate_limit(Rule.parse("3/minute", name="group"))])

    @group.get("/", middleware=[rate_limit("2/minute")])
    async def index() -> str:
        return "index"

    async with Client(app) as client:
        first = await client.get("/group")
        assert await statuses(client, "/group", 2) == [200, 429]
        refused = await client.get("/group")

    assert first.headers["ratelimit"] == (
        '"5-per-minute";r=4;t=60, "group";r=2;t=60, "2-per-minute";r=1;t=60'
    )
    assert refused.json()["violated-policies"] == ["group"]


def test_what_rounding_leaves_over_is_no_second_more() -> None:
    began = 4059.469294288077  # seconds that a machine has been up
    left = (began + 60.0) - began
    assert left > 60.0
    assert whole(left) == 60
    assert [whole(each) for each in (0.0, 0.1, 1.0, 59.5)] == [0, 1, 1, 60]


async def test_a_response_that_the_handler_keeps_tells_the_truth_each_time() -> None:
    kept = Response("kept")
    app = Oxidite(middleware=[rate_limit("5/minute")])

    @app.get("/")
    async def home() -> Response:
        return kept

    async with Client(app) as client:
        await client.get("/")
        response = await client.get("/")

    assert response.headers.get_list("ratelimit") == ['"5-per-minute";r=3;t=60']


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            "legacy",
            {"x-ratelimit-limit": "2", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "60"},
        ),
        ("none", {}),
    ],
)
async def test_the_fields_may_be_the_older_ones_or_none(
    style: str, expected: dict[str, str]
) -> None:
    app = application(rate_limit("2/minute", "9/hour", fields=style))  # type: ignore[arg-type]  # one of two
    with clock.use(TravelClock()):
        async with Client(app) as client:
            response = await client.get("/")

    found = {name: value for name, value in response.headers.items() if "ratelimit" in name}
    assert found == expected


# Who.


def from_address(app: Oxidite, host: str) -> Client:
    return Client(app, client=(host, 4000))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("testclient", "testclient", True),
        ("", "192.0.2.1", False),
    ],
)
async def test_an_address_is_one_or_a_network_of_ipv6(one: str, other: str, same: bool) -> None:
    app = application(rate_limit("1/minute"))
    async with from_address(app, one) as first:
        assert await statuses(first, "/", 1) == [200]
        async with from_address(app, other) as second:
            assert await statuses(second, "/", 1) == [429 if same else 200]


async def test_a_header_that_claims_an_address_changes_nothing() -> None:
    async with Client(application(rate_limit("1/minute"))) as client:
        assert await statuses(client, "/", 1, x_forwarded_for="192.0.2.1") == [200]
        assert await statuses(client, "/", 1, x_forwarded_for="192.0.2.2") == [429]


async def test_networks_may_be_exempt() -> None:
    app = application(rate_limit("1/minute", exempt=["10.0.0.0/8", "2001:db8::/32"]))
    for host in ("10.1.2.3", "2001:db8::5", "::ffff:10.0.0.1"):
        async with from_address(app, host) as client:
            assert await statuses(client, "/", 3) == [200] * 3
    async with from_address(app, "11.0.0.1") as client:
        assert await statuses(client, "/", 2) == [200, 429]
    async with from_address(app, "not an address") as client:
        assert await statuses(client, "/", 2) == [200, 429]


async def test_the_key_may_be_a_header_and_without_it_the_address() -> None:
    async with Client(application(rate_limit("1/minute", key=by_header("X-API-Key")))) as client:
        assert await statuses(client, "/", 2, x_api_key="one") == [200, 429]
        assert await statuses(client, "/", 2, x_api_key="two") == [200, 429]
        assert await statuses(client, "/", 2) == [200, 429]


async def test_the_key_may_be_what_an_application_knows() -> None:
    def by_user(request: Request) -> str | None:
        return request.headers.get("x-user")

    async with Client(application(rate_limit("1/minute", key=by_user))) as client:
        assert await statuses(client, "/", 2, x_user="127.0.0.1") == [200, 429]
        # A user who is called like an address is not that address.
        assert await statuses(client, "/", 2) == [200, 429]


async def test_the_key_may_be_the_user_that_a_middleware_outside_has_found() -> None:
    async def identify(request: Request, call_next: Handler) -> Response:
        request.state["user"] = request.headers.get("authorization")
        return await call_next(request)

    def by_user(request: Request) -> str | None:
        user = request.state.get("user")
        return user if isinstance(user, str) else None

    async with Client(application(identify, rate_limit("1/minute", key=by_user))) as client:
        assert await statuses(client, "/", 2, authorization="ann") == [200, 429]
        assert await statuses(client, "/", 2, authorization="bob") == [200, 429]
        assert await statuses(client, "/", 2) == [200, 429]  # nobody: by the address


class Recording(MemoryRates):
    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str] = []

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        self.keys += [claim.key for claim in claims]
        return await super().acquire(claims)


@pytest.mark.parametrize(
    "key", [by_header("x-api-key"), lambda request: request.headers["x-api-key"]]
)
async def test_a_key_of_a_megabyte_is_kept_as_a_few_bytes(key: Key) -> None:
    store = Recording()
    async with Client(application(rate_limit("1/minute", key=key, store=store))) as client:
        assert await statuses(client, "/", 2, x_api_key="k" * 1_000_000) == [200, 429]

    assert max(map(len, store.keys)) <= 100


async def test_a_secret_key_is_not_what_is_kept() -> None:
    store = Recording()
    app = application(
        rate_limit("1/minute", key=by_header("x-api-key"), store=store, prefix="api ")
    )
    async with Client(app) as client:
        await statuses(client, "/", 1, x_api_key="secret")

    assert store.keys[0].startswith("api key:")
    assert "secret" not in store.keys[0]


async def test_a_hundred_at_the_same_time_get_no_more_than_allowed() -> None:
    async with Client(application(rate_limit("10/minute"))) as client:
        answers: list[Answer] = await asyncio.gather(*(client.get("/") for _ in range(100)))

    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 90


def test_no_client_is_one_too() -> None:
    assert by_address(Request.of("GET", "/")) == ""


# At once.


async def test_so_many_at_once_and_no_more() -> None:
    app = Oxidite(middleware=[rate_limit("2 at once")])
    go_on = asyncio.Event()
    inside = asyncio.Semaphore(0)

    @app.get("/")
    async def slow() -> str:
        inside.release()
        await go_on.wait()
        return "slow"

    async with Client(app) as client:
        first = [asyncio.create_task(client.get("/")) for _ in range(2)]
        for _ in first:
            await inside.acquire()
        refused = await client.get("/")
        go_on.set()
        done = [await each for each in first]
        again = await client.get("/")

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert [each.status_code for each in (*done, again)] == [200, 200, 200]
    assert again.headers["ratelimit-policy"] == '"2-at-once";q=2;qu="concurrent-requests"'
    assert again.headers["ratelimit"] == '"2-at-once";r=1'


async def test_a_stream_holds_its_place_until_its_end() -> None:
    app = Oxidite(middleware=[rate_limit("1 at once")])
    go_on = asyncio.Event()

    async def content() -> AsyncIterator[str]:
        yield "begun"
        await go_on.wait()
        yield "ended"

    @app.get("/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(content())

    async with Client(app) as client:
        async with client.stream("GET", "/") as response:
            pieces = response.aiter_raw()
            assert await anext(pieces) == b"begun"
            assert await statuses(client, "/", 1) == [429]
            go_on.set()
            assert [piece async for piece in pieces] == [b"ended"]
        assert await statuses(client, "/", 1) == [200]
        async with client.stream("GET", "/") as response:
            go_on.clear()
            await anext(response.aiter_raw())
        # It has left before the end.
        go_on.set()
        assert await statuses(client, "/", 1) == [200]


async def test_a_cancelled_request_gives_its_place_back() -> None:
    app = Oxidite(middleware=[rate_limit("1 at once")])
    inside = asyncio.Event()

    @app.get("/{wait}")
    async def home(wait: bool) -> str:
        inside.set()
        if wait:
            await asyncio.Event().wait()
        return "home"

    async with Client(app) as client:
        task = asyncio.ensure_future(app.handle(Request.of("GET", "/true", resources=app.lifespan)))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await statuses(client, "/false", 2) == [200, 200]


# A store that fails.


class Failing:
    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        raise BackendUnavailableError("no store")

    async def release(self, claims: Sequence[Claim]) -> None:
        raise BackendUnavailableError("no store")


async def test_a_store_that_fails_lets_through_and_says_so_once_in_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with clock.use(TravelClock()) as travel:
        async with Client(application(rate_limit("1/minute", store=Failing()))) as client:
            assert await statuses(client, "/", 3) == [200] * 3
            assert len(caplog.records) == 1
            travel.jump(2)
            assert await statuses(client, "/", 1) == [200]

    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_a_store_that_fails_may_close_the_door() -> None:
    app = application(rate_limit("1/minute", store=Failing(), on_failure="refuse"))
    async with Client(app) as client:
        response = await client.get("/")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_a_store_that_cannot_take_back_breaks_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Half(MemoryRates):
        async def release(self, claims: Sequence[Claim]) -> None:
            raise BackendUnavailableError("no store")

    async with Client(application(rate_limit("1 at once", store=Half()))) as client:
        assert await statuses(client, "/", 2) == [200, 429]

    assert "gives the place up" in caplog.text


# Setting it up.


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="no limit"):
        rate_limit("ten a minute")
    with pytest.raises(ConfigError, match="more than there ever is: 3 in 60 seconds"):
        rate_limit("3/minute", cost=4)
    with pytest.raises(ConfigError, match="from 0"):
        limit(cost=-1)
    with pytest.raises(ConfigError, match="Write a list"):
        rate_limit("3/minute", exempt="10.0.0.0/8")
    with pytest.raises(ConfigError, match=r"10\.0\.0\.1/8"):
        rate_limit("3/minute", exempt=["10.0.0.1/8"])


async def test_a_route_that_costs_more_than_there_is_says_so() -> None:
    async with Client(application(rate_limit("2/minute"))) as client:
        with pytest.raises(ConfigError, match="cost=3"):
            await client.get("/export")


def test_complete_bodies_stay_complete() -> None:
    assert choose_interface(application(rate_limit("1/minute")), rsgi=True)[0] == "rsgi"
