from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import Oxidite, Request
from oxidite.errors import ConfigError
from oxidite.http.url import InvalidHostError
from oxidite.middleware import HostNotAllowedError, Hosts, allowed_hosts
from oxidite.testing import Client

PATTERNS = ["example.com", "*.example.com", "localhost:8000", "[::1]", "*.test:81"]


def application(patterns: str | list[str]) -> Oxidite:
    app = Oxidite(middleware=[allowed_hosts(patterns)])

    @app.get("/")
    async def index(request: Request) -> str:
        return request.url.host or ""

    return app


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "EXAMPLE.com",
        "example.com.",
        "example.com:8080",
        "a.example.com",
        "a.b.Example.Com:1",
        "localhost:8000",
        "[::1]",
        "[::1]:99",
        "a.test:81",
    ],
)
async def test_a_host_that_is_allowed_is_answered(host: str) -> None:
    async with Client(application(PATTERNS)) as client:
        for _ in range(2):
            assert (await client.get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "example.com.evil.example",
        "evilexample.com",
        ".example.com",
        "localhost",
        "localhost:8001",
        "localhost:80000",
        "[::2]",
        "::1",
        "test:81",
        "a.test",
        "a.test:82",
        "example.com@evil.example",
        "example.com/evil",
        "example.com evil",
        "example.com:x",
        "exa\tmple.com",
        "",
    ],
)
async def test_any_other_host_is_refused(host: str) -> None:
    async with Client(application(PATTERNS)) as client:
        response = await client.get("/", headers={"host": host})

    assert (response.status_code, response.json()["code"]) in [
        (400, "invalid_host"),
        (421, "host_not_allowed"),
    ]


async def test_a_request_without_a_host_is_refused() -> None:
    app = application("*")

    async with app.running():
        response = await app.handle(Request.of("GET", "/"))

    assert response.status == 400
    assert b"does not say for which host" in response.body


async def test_a_request_for_two_hosts_is_refused() -> None:
    async with Client(application("*")) as client:
        headers = [("host", "a.example"), ("host", "a.example")]
        assert (await client.get("/", headers=headers)).status_code == 400


async def test_a_star_is_for_every_host_that_is_one() -> None:
    async with Client(application("*")) as client:
        assert (await client.get("/", headers={"host": "whatever.example:9"})).status_code == 200
        assert (await client.get("/", headers={"host": "what ever"})).status_code == 400


async def test_hosts_may_be_one_text_as_in_the_environment() -> None:
    async with Client(application(" a.example, b.example ")) as client:
        assert (await client.get("/", headers={"host": "b.example"})).status_code == 200


async def test_a_path_that_leads_nowhere_is_asked_for_its_host_too() -> None:
    async with Client(application(["example.com"])) as client:
        assert (await client.get("/nowhere", headers={"host": "evil.example"})).status_code == 421


@pytest.mark.parametrize(
    "pattern",
    ["https://example.com", "example.com/", "*example.com", "a.*.com", "*.", "ex ample", "é.fr"],
)
def test_what_is_no_host_is_refused_with_what_to_write(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a host\. Write names such as"):
        allowed_hosts([pattern])


@pytest.mark.parametrize("patterns", ["", [], [" "]])
def test_no_host_at_all_is_refused(patterns: str | list[str]) -> None:
    with pytest.raises(ConfigError, match="No host is allowed"):
        allowed_hosts(patterns)


@given(st.text(st.sampled_from("exampl.com:0[]@/*\\%-"), max_size=30))
def test_only_what_ends_in_a_pattern_passes(host: str) -> None:
    hosts = Hosts(["example.com", "*.example.com"])

    with contextlib.suppress(InvalidHostError, HostNotAllowedError):
        found = hosts.find(host).host or ""
        assert f".{found.removesuffix('.')}".endswith(".example.com")


def test_what_is_remembered_is_bounded() -> None:
    hosts = Hosts("*.example.com")

    for number in range(5000):
        assert hosts.find(f"h{number}.example.com").host == f"h{number}.example.com"

    assert len(hosts.known) <= 1024
