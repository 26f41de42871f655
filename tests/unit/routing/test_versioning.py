from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import Controller, Oxidite, Request, Response, Router
from oxidite.clock import TravelClock, use
from oxidite.errors import ConfigError, RouteError
from oxidite.http.types import Handler
from oxidite.instrument import Span, listen
from oxidite.middleware import cors
from oxidite.routing import Version, Versioning, based_on, routes_of
from oxidite.testing import Client

NUMBERS = ["1", "2", "3"]


def shop(**options: Any) -> Oxidite:
    """A resource in version 1, another in 2 and later, one in all, one in none."""
    app = Oxidite(versioning=Versioning(NUMBERS, **options))

    @app.get("/old", versions="1")
    async def old() -> str:
        return "old"

    @app.get("/posts/{id}", versions="1")
    async def one(id: int) -> dict[str, int]:
        return {"id": id}

    @app.get("/posts/{slug}", versions="2-")
    async def two(slug: str, version: Version) -> dict[str, str]:
        return {"slug": slug, "version": version.name}

    @app.post("/posts/{id}", versions="3")
    async def change(id: int) -> int:
        return id

    @app.get("/all", versions=NUMBERS)
    async def everywhere(version: Version, request: Request) -> str:
        assert request.version is version
        return version.name

    @app.get("/health")
    async def health(version: Version | None) -> str:
        return f"fine {version}"

    return app


async def ask(
    app: Oxidite, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> tuple[int, str]:
    async with Client(app, headers=headers or {}) as client:
        answer = await client.request(method, path)
        is_problem = answer.headers.get("content-type") == "application/problem+json"
        return answer.status_code, answer.json()["code"] if is_problem else answer.text


class TestPath:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/v1/old", (200, "old")),
            ("/v2/old", (404, "not_found")),
            ("/v1/posts/7", (200, '{"id":7}')),
            ("/v1/posts/x", (404, "not_found")),
            ("/v2/posts/7", (200, '{"slug":"7","version":"2"}')),
            ("/v3/all", (200, "3")),
            ("/health", (200, "fine None")),
            ("/v1/health", (404, "not_found")),
            ("/all", (404, "not_found")),
            ("/v9/all", (404, "version_not_found")),
            ("/v/all", (404, "not_found")),
            ("/x1/all", (404, "not_found")),
        ],
    )
    async def test_the_path_says_the_version(self, path: str, expected: tuple[int, str]) -> None:
        assert await ask(shop(path=True), path) == expected

    async def test_an_unknown_version_is_told_which_there_are(self) -> None:
        async with Client(shop(path=True)) as client:
            answer = await client.get("/v9/all")
            assert answer.json()["supported"] == ["1", "2", "3"]

    async def test_another_form_of_path(self) -> None:
        app = shop(path="/api/{version}-beta")
        assert await ask(app, "/api/2-beta/all") == (200, "2")
        assert await ask(app, "/api/9-beta/all") == (404, "version_not_found")

    async def test_methods_are_those_of_the_version(self) -> None:
        app = shop(path=True)
        assert (await ask(app, "/v2/posts/7", method="POST"))[0] == 405
        assert (await ask(app, "/v3/posts/7", method="POST")) == (200, "7")
        assert (await ask(app, "/v3/posts/7", method="HEAD")) == (200, "")

    async def test_one_table_has_all_and_costs_nothing_more(self) -> None:
        assert type(shop(path=True).table) is type(Oxidite().table)

    async def test_a_router_may_have_versions_of_its_own(self) -> None:
        app = Oxidite()
        shops = Router("/{shop}/api", versioning=Versioning(["1", "2"], path=True))
        other = Router("/other", versioning=Versioning(["a", "b"], path="/{version}"), versions="a")

        @shops.get("/items", versions="1-2")
        async def items(shop: str, version: Version) -> str:
            return f"{shop} {version}"

        @shops.get("/about")
        async def about(shop: str) -> str:
            return shop

        @other.get("/x")
        async def x() -> str:
            return "x"

        app.include(shops)
        app.include(other)
        assert await ask(app, "/tea/api/v2/items") == (200, "tea 2")
        assert await ask(app, "/tea/api/about") == (200, "tea")
        assert await ask(app, "/other/a/x") == (200, "x")
        assert await ask(app, "/other/c/x") == (404, "version_not_found")

    async def test_urls_are_made_by_name_and_version(self) -> None:
        app = shop(path=True)
        assert app.url("two@3", slug="x") == "/v3/posts/x"
        assert app.url("old@1") == "/v1/old"


class TestSelected:
    @pytest.mark.parametrize(
        ("path", "version", "expected"),
        [
            ("/old", "1", (200, "old")),
            ("/old", "2", (404, "not_in_version")),
            ("/posts/7", "1", (200, '{"id":7}')),
            ("/posts/x", "1", (404, "not_in_version")),
            ("/posts/7", "2", (200, '{"slug":"7","version":"2"}')),
            ("/all", "3", (200, "3")),
            ("/all", "9", (400, "unknown_version")),
            ("/all", None, (400, "missing_version")),
            ("/health", "9", (200, "fine None")),
            ("/health", None, (200, "fine None")),
            ("/nothing", "9", (404, "not_found")),
            ("/nothing", None, (404, "not_found")),
        ],
    )
    async def test_a_header_or_the_query_says_the_version(
        self, path: str, version: str | None, expected: tuple[int, str]
    ) -> None:
        app = shop(header="X-API-Version", query="v")
        headers = {} if version is None else {"x-api-version": version}
        assert await ask(app, path, headers) == expected
        assert await ask(app, path + ("" if version is None else f"?v={version}")) == expected

    async def test_a_version_is_chosen_before_the_route(self) -> None:
        """What a path is in one version does not hide what it is in another."""
        app = Oxidite(versioning=Versioning(["1", "2"], header="v"))

        @app.get("/a/latest", versions="1")
        async def latest() -> str:
            return "latest"

        @app.get("/a/{name}", versions="1-2")
        async def show(name: str) -> str:
            return f"name {name}"

        assert await ask(app, "/a/latest", {"v": "1"}) == (200, "latest")
        assert await ask(app, "/a/latest", {"v": "2"}) == (200, "name latest")

    async def test_a_default_answers_who_says_nothing(self) -> None:
        app = shop(header="v", default="2")
        assert await ask(app, "/all") == (200, "2")
        assert await ask(app, "/all", {"v": "9"}) == (400, "unknown_version")

    async def test_a_default_may_depend_on_the_request(self) -> None:
        pinned = {"ann": "1", "bob": "2"}
        app = shop(header="v", default=lambda request: pinned.get(request.query.get("user", "")))
        assert await ask(app, "/all?user=ann") == (200, "1")
        assert await ask(app, "/all?user=bob") == (200, "2")
        assert await ask(app, "/all?user=bob", {"v": "3"}) == (200, "3")
        assert await ask(app, "/all?user=eve") == (400, "missing_version")

    async def test_contradictions_are_refused(self) -> None:
        app = shop(path=True, header="v", query="q")
        assert await ask(app, "/all?q=1", {"v": "1"}) == (200, "1")
        assert await ask(app, "/all?q=1", {"v": "2"}) == (400, "conflicting_versions")
        assert await ask(app, "/v1/all?q=1", {"v": "1"}) == (200, "1")
        assert await ask(app, "/v1/all", {"v": "2"}) == (400, "conflicting_versions")
        assert await ask(app, "/v1/all?q=3") == (400, "conflicting_versions")
        assert await ask(app, "/all?q=1&q=2") == (400, "conflicting_versions")
        assert await ask(app, "/all?q=1&q=1") == (200, "1")
        assert await ask(app, "/v9/all") == (404, "version_not_found")

    async def test_a_malformed_query_is_the_error_it_is(self) -> None:
        app = shop(query="v")
        assert await ask(app, "/all?v=%ff") == (400, "invalid_query")
        assert (await ask(app, "/health?v=%ff"))[0] == 200

    async def test_options_without_a_version_are_those_of_the_newest(self) -> None:
        async with Client(shop(header="v")) as client:
            answer = await client.options("/posts/7")
            assert (answer.status_code, answer.headers["allow"]) == (
                204,
                "GET, HEAD, OPTIONS, POST",
            )

    async def test_a_browser_may_ask_before_it_says_the_version(self) -> None:
        app = shop(header="v", default="3")
        app.middleware.append(cors(origins=["https://shop.example"]))
        asks = {"origin": "https://shop.example", "access-control-request-method": "GET"}
        async with Client(app, headers=asks) as client:
            answer = await client.options("/old")
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-methods"] == "GET, HEAD"

    async def test_middleware_sees_the_route_and_its_version(self) -> None:
        seen: list[str] = []

        async def watch(request: Request, call_next: Handler) -> Response:
            seen.append(f"{request.route and request.route.path} {request.version}")
            return await call_next(request)

        app = shop(header="v")
        app.middleware.append(watch)
        await ask(app, "/posts/7", {"v": "2"})
        await ask(app, "/posts/7", {"v": "9"})
        await ask(app, "/health")
        assert seen == ["/posts/{slug} 2", "None None", "/health None"]

    async def test_two_sets_that_both_choose_are_refused(self) -> None:
        app = Oxidite()
        for prefix in ("/a", "/b"):
            router = Router(prefix, versioning=Versioning(["1"], header="v"), versions="1")
            router.get("/")(_nothing)
            app.include(router)
        with pytest.raises(RouteError, match="both choose by a header field"):
            app.table  # noqa: B018 - a property that works

    async def test_answers_say_what_they_depend_on(self) -> None:
        app = shop(path=True, header="X-V", media_type="application/vnd.shop.{version}+json")
        async with Client(app, headers={"x-v": "1"}) as client:
            for path, vary in [("/all", "X-V, accept"), ("/v1/all", None), ("/health", None)]:
                assert (await client.get(path)).headers.get("vary") == vary
            missing = await client.get("/old", headers={"x-v": "2"})
            assert "X-V" in missing.headers["vary"]


class TestMediaType:
    app = staticmethod(lambda: shop(media_type="application/vnd.shop.{version}+json", default="1"))

    @pytest.mark.parametrize(
        ("accept", "version", "type_"),
        [
            ("application/vnd.shop.2+json", "2", "application/vnd.shop.2+json"),
            ("Application/Vnd.Shop.2+JSON", "2", "application/vnd.shop.2+json"),
            (
                "application/vnd.shop.2+json;q=0.5, application/vnd.shop.3+json",
                "3",
                "application/vnd.shop.3+json",
            ),
            (
                "application/vnd.shop.9+json, application/vnd.shop.2+json;q=0.1",
                "2",
                "application/vnd.shop.2+json",
            ),
            ("application/vnd.shop.3+json;q=0, */*", "1", "application/json"),
            ("application/json", "1", "application/json"),
            ("*/*", "1", "application/json"),
        ],
    )
    async def test_accept_says_the_version(self, accept: str, version: str, type_: str) -> None:
        async with Client(self.app(), headers={"accept": accept}) as client:
            answer = await client.get("/posts/7")
            assert answer.headers["content-type"] == type_
            assert answer.headers["vary"] == "accept"
            assert answer.json().get("version", "1") == version

    async def test_an_unknown_one_is_not_acceptable(self) -> None:
        accept = {"accept": "application/vnd.shop.9+json"}
        assert await ask(self.app(), "/all", accept) == (406, "version_not_acceptable")


class TestEnd:
    def app(self, **more: Any) -> Oxidite:
        first = Version("1", date(2026, 1, 1), date(2026, 7, 1), **more)
        app = Oxidite(
            versioning=Versioning(
                [first, Version("2")], path=True, header="v", answer_header="X-Version"
            )
        )

        @app.get("/a b/{id}", versions="1-2")
        async def show(id: int) -> int:
            return id

        return app

    async def get(self, app: Oxidite, path: str, now: datetime, **headers: str) -> Any:
        async with Client(app, headers=headers) as client:
            with use(TravelClock(now)):
                return await client.get(path)

    async def test_it_is_announced(self) -> None:
        now = datetime(2025, 6, 1, tzinfo=UTC)
        answer = await self.get(self.app(docs="https://a.b/c"), "/v1/a b/3", now)
        assert answer.status_code == 200
        assert answer.headers["deprecation"] == "@1767225600"
        assert answer.headers["sunset"] == "Wed, 01 Jul 2026 00:00:00 GMT"
        assert answer.headers["link"] == (
            '<https://a.b/c>; rel="deprecation", </v2/a%20b/3>; rel="successor-version"'
        )
        assert answer.headers["x-version"] == "1"
        answer = await self.get(self.app(), "/v2/a b/3", now)
        assert not {"deprecation", "sunset", "link"} & set(answer.headers)
        assert answer.headers["x-version"] == "2"

    async def test_where_it_is_not_in_the_path_only_a_url_is_a_link(self) -> None:
        now = datetime(2026, 2, 1, tzinfo=UTC)
        assert "link" not in (await self.get(self.app(), "/a b/3", now, v="1")).headers
        answer = await self.get(
            self.app(successor="https://new.example.com/"), "/a b/3", now, v="1"
        )
        assert answer.headers["link"] == '<https://new.example.com/>; rel="successor-version"'

    async def test_after_the_sunset_it_is_gone(self) -> None:
        before = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
        after = datetime(2026, 7, 1, tzinfo=UTC)
        for path, headers in (("/v1/a b/3", {}), ("/a b/3", {"v": "1"})):
            assert (await self.get(self.app(), path, before, **headers)).status_code == 200
            answer = await self.get(self.app(), path, after, **headers)
            assert (answer.status_code, answer.json()["code"]) == (410, "version_gone")
            assert answer.json()["successor"] == "2"
            assert answer.headers["sunset"] == "Wed, 01 Jul 2026 00:00:00 GMT"
            assert ("v" in answer.headers["vary"].split(", ")) is bool(headers)

    async def test_a_grace_lets_it_answer_longer(self) -> None:
        app = self.app(grace=3600.0)
        inside = datetime(2026, 7, 1, 0, 59, tzinfo=UTC)
        assert (await self.get(app, "/v1/a b/3", inside)).status_code == 200
        assert (await self.get(app, "/v1/a b/3", inside.replace(hour=1))).status_code == 410

    async def test_what_has_ended_is_not_supported(self) -> None:
        answer = await self.get(self.app(), "/v9/a b/3", datetime(2026, 8, 1, tzinfo=UTC))
        assert answer.json()["supported"] == ["2"]

    async def test_who_still_calls_it_is_told(self) -> None:
        heard: list[tuple[str, Mapping[str, object]]] = []

        class Ear:
            def span_started(self, span: Span) -> None: ...
            def span_ended(self, span: Span, error: BaseException | None) -> None: ...
            def event(self, name: str, attributes: Mapping[str, object]) -> None:
                heard.append((name, attributes))

        app = Oxidite(
            versioning=Versioning(
                [Version("1", date(2026, 1, 1)), "2"],
                path=True,
                client=lambda request: request.headers.get("x-key"),
            )
        )
        app.get("/{id}", versions="1-2")(_nothing)
        with listen(Ear()):
            for path, year in (("/v1/3", 2025), ("/v2/3", 2026), ("/v1/3", 2026)):
                await self.get(app, path, datetime(year, 6, 1, tzinfo=UTC), **{"x-key": "ann"})
        assert heard == [
            ("http.deprecated", {"version": "1", "route": "/v1/{id}", "client": "ann"})
        ]

    async def test_who_still_calls_it_is_counted(self) -> None:
        versioning = Versioning(
            [Version("1", date(2026, 1, 1), date(2026, 7, 1)), "2"],
            path=True,
            client=lambda request: request.headers.get("x-key"),
        )
        app = Oxidite(versioning=versioning)
        app.get("/{id}", versions="1-2")(_nothing)
        for path, when, key in (
            ("/v1/3", datetime(2025, 6, 1, tzinfo=UTC), "early"),
            ("/v1/3", datetime(2026, 6, 1, tzinfo=UTC), "ann"),
            ("/v1/4", datetime(2026, 6, 1, tzinfo=UTC), "ann"),
            ("/v2/3", datetime(2026, 6, 1, tzinfo=UTC), "bob"),
            ("/v1/3", datetime(2026, 8, 1, tzinfo=UTC), "late"),  # that is 410
        ):
            await self.get(app, path, when, **{"x-key": key})
        await self.get(app, "/v1/3", datetime(2026, 6, 1, tzinfo=UTC))
        assert versioning.callers == {("1", "ann"): 2, ("1", "late"): 1, ("1", None): 1}

    def test_an_attack_of_many_callers_fills_no_memory(self) -> None:
        old = Version("1", date(2026, 1, 1))
        versioning = Versioning([old, "2"], path=True)
        for number in range(20_000):
            versioning.count(old, f"{number}" + "x" * 100_000)
        versioning.count(old, "0" + "x" * 100_000)
        assert len(versioning.callers) == 10_001
        assert max(len(name or "") for _, name in versioning.callers) == 100
        assert versioning.callers["1", None] == 10_000
        assert versioning.callers["1", "0" + "x" * 99] == 2


class TestBasedOn:
    def build(self) -> Oxidite:
        v1 = Router("/posts", versions="1", name="posts", tags=["posts"])
        inner = Router("/{id}/comments")

        @v1.get("/")
        async def index() -> str:
            return "index 1"

        @v1.route("/{id}", ["GET", "PUT"])
        async def show(id: int) -> str:
            return f"show 1 {id}"

        @v1.get("/drafts")
        async def drafts() -> str:
            return "drafts 1"

        @inner.get("/")
        async def comments(id: int, version: Version) -> str:
            return f"comments {version} {id}"

        v2 = based_on(v1, versions="2", without=[drafts])

        @v2.get("/{slug}")
        async def show_by_slug(slug: str) -> str:
            return f"show 2 {slug}"

        v3 = based_on(v2, versions="3")

        @v3.get("/")
        async def index_3() -> str:
            return "index 3"

        v1.include(inner)  # later than the others were made
        app = Oxidite(versioning=Versioning(NUMBERS, path=True))
        for router in (v1, v2, v3):
            app.include(router)
        return app

    @pytest.mark.parametrize(
        ("method", "path", "expected"),
        [
            ("GET", "/v1/posts", (200, "index 1")),
            ("GET", "/v2/posts", (200, "index 1")),
            ("GET", "/v3/posts", (200, "index 3")),
            ("GET", "/v1/posts/7", (200, "show 1 7")),
            ("GET", "/v2/posts/7", (200, "show 2 7")),
            ("GET", "/v3/posts/7", (200, "show 2 7")),
            ("PUT", "/v3/posts/7", (200, "show 1 7")),
            ("GET", "/v1/posts/drafts", (200, "drafts 1")),
            ("GET", "/v2/posts/drafts", (200, "show 2 drafts")),
            ("GET", "/v3/posts/7/comments", (200, "comments 3 7")),
        ],
    )
    async def test_it_has_the_routes_of_the_other_but_those_replaced(
        self, method: str, path: str, expected: tuple[int, str]
    ) -> None:
        assert await ask(self.build(), path, method=method) == expected

    async def test_names_and_tags_are_kept(self) -> None:
        routes = {route.name: route for route in self.build().routes}
        assert routes["posts.index@2"].tags == ("posts",)
        assert routes["posts.index@2"].path == "/v2/posts"

    async def test_a_controller_is_inherited(self) -> None:
        class Things(Controller):
            routes = Router("/things")

            @routes.get("/")
            async def index(self, version: Version) -> str:
                return version.name

        v1 = Router(versions="1")
        v1.include(Things)
        app = Oxidite(versioning=Versioning(["1", "2"], header="v"))
        app.include(v1)
        app.include(based_on(v1, versions="2"))
        assert await ask(app, "/things", {"v": "2"}) == (200, "2")

    async def test_what_is_left_out_has_to_be_there(self) -> None:
        v1 = Router(versions="1")
        app = Oxidite(versioning=Versioning(["1", "2"], path=True))
        app.include(based_on(v1, versions="2", without=[_nothing]))
        with pytest.raises(RouteError, match=r"_nothing\(\) is no route of the router"):
            app.table  # noqa: B018 - a property that works

    async def test_a_router_is_not_based_on_itself(self) -> None:
        v1 = Router(versions="1")
        with pytest.raises(RouteError, match="part of itself"):
            v1.include(based_on(v1, versions="2"))


class TestDocuments:
    def test_each_version_has_its_routes(self) -> None:
        app = shop(path=True, header="v")
        paths = {
            version: sorted({route.path for route in routes_of(app.routes, version)})
            for version in ("1", "2", None)
        }
        assert paths == {
            "1": ["/health", "/v1/all", "/v1/old", "/v1/posts/{id:int}"],
            "2": ["/health", "/v2/all", "/v2/posts/{slug}"],
            None: ["/health"],
        }
        by_header = routes_of(shop(header="v").routes, "2")
        assert sorted(route.path for route in by_header) == ["/all", "/health", "/posts/{slug}"]


class TestSpec:
    dates = Versioning(["2026-01", "2026-07", "2027-01"], path=True)

    @pytest.mark.parametrize(
        ("spec", "names"),
        [
            ("2026-07", ["2026-07"]),
            ("2026-01-2026-07", ["2026-01", "2026-07"]),
            ("2026-01 - 2027-01", ["2026-01", "2026-07", "2027-01"]),
            ("2026-07-", ["2026-07", "2027-01"]),
            ("-2026-07", ["2026-01", "2026-07"]),
            (["2027-01", "2026-01"], ["2026-01", "2027-01"]),
        ],
    )
    def test_names_ranges_and_lists(self, spec: str | list[str], names: list[str]) -> None:
        assert [version.name for version in self.dates.pick(spec)] == names

    @pytest.mark.parametrize("spec", ["", "-", "2026", "2027-01-2026-01", "2026-02-", [], ["x"]])
    def test_what_names_nothing_is_refused(self, spec: str | list[str]) -> None:
        with pytest.raises(RouteError, match="There are: 2026-01, 2026-07, 2027-01"):
            self.dates.pick(spec)

    def test_what_can_be_read_in_two_ways_is_refused(self) -> None:
        with pytest.raises(RouteError, match="two ways"):
            Versioning(["a", "a-b", "b-c", "c"], path=True).pick("a-b-c")

    @given(st.text("ab-1 ", max_size=12))
    def test_any_text_is_versions_or_our_error(self, spec: str) -> None:
        try:
            assert Versioning(["a", "b", "a-1"], path=True).pick(spec)
        except RouteError:
            return


async def _nothing() -> None: ...


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Versioning([], path=True), "has no version"),
        (lambda: Versioning(["1"]), "does not say where"),
        (lambda: Versioning(["a", "A"], path=True), "the same name"),
        (lambda: Versioning(["1"], path="/v"), "write {version}"),
        (lambda: Versioning(["1"], path="v{version}"), "begins with '/'"),
        (lambda: Versioning(["1"], media_type="application/json"), "write {version}"),
        (lambda: Versioning(["1"], header="v", default="2"), "is none of 1"),
        (lambda: Versioning([Version("1", successor="9")], path=True), "neither a version nor"),
        (lambda: Version("a/b"), "letters and digits"),
        (lambda: Version("1", sunset=datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
        (lambda: Version("1", date(2026, 2, 1), date(2026, 1, 1)), "before it is deprecated"),
    ],
)
def test_what_cannot_work_is_said(make: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_routes_are_checked_at_the_start() -> None:
    async def needs(version: Version) -> None: ...

    def start(*, versioning: Versioning | None, **options: Any) -> None:
        app = Oxidite(versioning=versioning)
        app.get("/", **options)(needs)
        app.table  # noqa: B018 - a property that works

    numbers = Versioning(NUMBERS, path=True)
    with pytest.raises(RouteError, match=r"needs\(\): versions='1', but nothing says"):
        start(versioning=None, versions="1")
    with pytest.raises(RouteError, match=r"needs\(\): versions='9' is neither"):
        start(versioning=numbers, versions="9")
    with pytest.raises(RouteError, match="belongs to none"):
        start(versioning=numbers)
    app = Oxidite(versioning=numbers)
    app.include(Router("/x", versioning=numbers))
    with pytest.raises(RouteError, match="inside of others"):
        app.table  # noqa: B018 - a property that works


def test_an_application_without_versions_imports_nothing_of_them() -> None:
    assert type(Oxidite().table).__name__ == "RouteTable"


ANY_VERSIONS = shop(
    path=True, header="v", query="q", media_type="application/vnd.shop.{version}+json"
)
said = st.sampled_from(["1", "2", "9", "", "1, 2", "%31", "%ff"]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), max_size=6
)


@given(
    st.sampled_from(
        ["/all", "/posts/7", "/old", "/health", "/v1/all", "/v9/all", "/v1", "/", "/x"]
    ),
    st.sampled_from(["GET", "POST", "OPTIONS", "BREW"]),
    st.none() | said,
    st.none() | said,
    st.none() | said.map(lambda name: f"application/vnd.shop.{name}+json") | said,
)
async def test_whatever_a_request_says_is_answered(
    path: str, method: str, header: str | None, query: str | None, accept: str | None
) -> None:
    headers = {name: value for name, value in (("v", header), ("accept", accept)) if value}
    target = path if query is None else f"{path}?q={query}"
    request = Request.of(method, target, headers=headers, resources=ANY_VERSIONS.lifespan)
    response = await ANY_VERSIONS.handle(request)
    assert response.status in {200, 204, 400, 404, 405, 406, 422}
