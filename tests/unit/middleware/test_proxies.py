from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from oxidite import Oxidite, Request, Response
from oxidite.errors import ConfigError
from oxidite.http import ASGIApp, TrustedProxies
from oxidite.protocols import Message, Receive, Send
from oxidite.testing import Client

Fields = Sequence[tuple[str, str]] | Mapping[str, str]

ALL = TrustedProxies(networks=["10.0.0.0/8", "fd00::/8"], host=True, port=True, prefix=True)


def application(trusted: str | Sequence[str] | TrustedProxies) -> Oxidite:
    app = Oxidite(trusted_proxies=trusted)

    @app.get("/seen")
    async def seen(request: Request) -> dict[str, object]:
        client = request.client
        return {
            "client": None if client is None else client.host,
            "scheme": request.scheme,
            "host": request.host,
            "url": str(request.url),
            "proxies": [each.host for each in request.proxies],
        }

    return app


async def see(
    trusted: str | Sequence[str] | TrustedProxies, headers: Fields, *, peer: str = "10.0.0.1"
) -> dict[str, object]:
    async with Client(application(trusted), client=(peer, 4000)) as client:
        response = await client.get(
            "/seen",
            headers=list(dict(headers).items()) if isinstance(headers, Mapping) else list(headers),
        )
        found: dict[str, object] = response.json()
        return found


# Who is believed.


async def test_nobody_is_believed_unless_said() -> None:
    found = await see((), {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"})

    assert (found["client"], found["scheme"], found["proxies"]) == ("10.0.0.1", "http", [])


@pytest.mark.parametrize("peer", ["11.0.0.1", "192.168.0.1", "::1", "nonsense", ""])
async def test_a_peer_that_is_not_trusted_is_not_believed(peer: str) -> None:
    headers = {
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
        "forwarded": "for=1.2.3.4;proto=https;host=evil.example",
    }

    found = await see(ALL, headers, peer=peer)

    assert found["client"] == peer
    assert found["url"] == "http://testserver/seen"


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "fd00::1%eth0"])
async def test_a_peer_in_a_trusted_network_is_believed(peer: str) -> None:
    found = await see(ALL, {"x-forwarded-for": "1.2.3.4"}, peer=peer)

    assert (found["client"], found["proxies"]) == ("1.2.3.4", [peer])


async def test_a_peer_on_a_unix_socket_is_believed_if_that_is_said() -> None:
    headers = {"x-forwarded-for": "1.2.3.4"}

    assert (await see(["unix"], headers, peer=""))["client"] == "1.2.3.4"
    assert (await see(["10.0.0.0/8"], headers, peer=""))["client"] == ""


async def test_networks_may_be_one_text_as_in_the_environment() -> None:
    headers = {"x-forwarded-for": "1.2.3.4"}

    assert (await see("unix, 10.0.0.1", headers))["client"] == "1.2.3.4"
    assert (await see("", headers))["client"] == "10.0.0.1"
    assert (await see(" , ", headers))["client"] == "10.0.0.1"


@pytest.mark.parametrize("network", ["*", "10.0.0.1/8", "localhost", "10.0.0.0/33"])
def test_what_is_no_network_is_refused_with_what_to_write(network: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a network .*Write addresses such as"):
        Oxidite(trusted_proxies=[network])


# How far.


@pytest.mark.parametrize(
    ("told", "client", "proxies"),
    [
        ("1.2.3.4", "1.2.3.4", 1),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4", 1),
        ("127.0.0.1, 10.0.0.9, 1.2.3.4", "1.2.3.4", 1),
        ("6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4", 2),
        ("6.6.6.6,1.2.3.4,10.0.0.8,10.0.0.9", "1.2.3.4", 3),
        ("garbage, <script>, 1.2.3.4", "1.2.3.4", 1),
        ("10.0.0.5, 10.0.0.9", "10.0.0.5", 2),
        ("1.2.3.4:5678", "1.2.3.4", 1),
        ("[2001:db8::1]:5678", "2001:db8::1", 1),
        ("2001:db8::1", "2001:db8::1", 1),
        ("1.2.3.4, unknown", "10.0.0.1", 0),
        ("1.2.3.4, _hidden, 10.0.0.9", "10.0.0.9", 1),
        (", ,1.2.3.4, ,", "1.2.3.4", 1),
        ("", "10.0.0.1", 0),
    ],
)
async def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    told: str, client: str, proxies: int
) -> None:
    found = await see(ALL, {"x-forwarded-for": told})

    assert found["client"] == client
    assert len(found["proxies"]) == proxies  # type: ignore[arg-type]  # a list


async def test_fields_that_come_twice_are_one_list() -> None:
    spoofed = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")]

    assert (await see(ALL, spoofed))["client"] == "1.2.3.4"


@pytest.mark.parametrize(
    ("hops", "client"), [(1, "10.0.0.9"), (2, "1.2.3.4"), (3, "6.6.6.6"), (9, "6.6.6.6")]
)
async def test_the_number_of_proxies_can_be_limited(hops: int, client: str) -> None:
    anybody = TrustedProxies(networks=["0.0.0.0/0", "::/0"], hops=hops)

    assert (await see(anybody, {"x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.0.0.9"}))[
        "client"
    ] == client


@pytest.mark.parametrize(
    ("addresses", "told", "scheme"),
    [
        ("1.2.3.4", "https", "https"),
        ("1.2.3.4", "HTTPS", "https"),
        ("1.2.3.4", "wss", "https"),
        ("1.2.3.4", "https, http", "http"),
        ("1.2.3.4, 10.0.0.9", "https", "https"),
        ("1.2.3.4, 10.0.0.9", "https, http", "https"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.9", "https, http, http", "http"),
        ("", "https", "https"),
    ],
)
async def test_the_scheme_is_what_the_outermost_trusted_proxy_saw(
    addresses: str, told: str, scheme: str
) -> None:
    found = await see(ALL, {"x-forwarded-for": addresses, "x-forwarded-proto": told})

    assert found["scheme"] == scheme


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"x-forwarded-host": "example.com"}, "http://example.com/seen"),
        ({"x-forwarded-host": "evil.example, example.com"}, "http://example.com/seen"),
        ({"x-forwarded-host": "example.com:81"}, "http://example.com:81/seen"),
        ({"x-forwarded-host": "[::1]:81"}, "http://[::1]:81/seen"),
        ({"x-forwarded-port": "8443"}, "http://testserver:8443/seen"),
        (
            {"x-forwarded-proto": "https", "x-forwarded-port": "443"},
            "https://testserver/seen",
        ),
        (
            {"x-forwarded-host": "example.com:81", "x-forwarded-port": "8443"},
            "http://example.com:81/seen",
        ),
        ({"x-forwarded-prefix": "/shop/"}, "http://testserver/shop/seen"),
        ({"x-forwarded-prefix": "/"}, "http://testserver/seen"),
    ],
)
async def test_host_port_and_prefix_are_those_the_client_used(headers: Fields, url: str) -> None:
    assert (await see(ALL, headers))["url"] == url


async def test_host_port_and_prefix_are_not_believed_unless_said() -> None:
    headers = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-port": "1",
        "x-forwarded-prefix": "/evil",
    }

    assert (await see(["10.0.0.0/8"], headers))["url"] == "http://testserver/seen"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-forwarded-for": "garbage"}, "invalid_forwarded"),
        ({"x-forwarded-for": "1.2.3.4, 10.0.0"}, "invalid_forwarded"),
        ({"x-forwarded-proto": "javascript"}, "invalid_forwarded"),
        ({"x-forwarded-port": "80x"}, "invalid_forwarded"),
        ({"x-forwarded-port": "99999"}, "invalid_host"),
        ({"x-forwarded-host": "evil.example/path"}, "invalid_host"),
        ({"x-forwarded-host": "user@example.com"}, "invalid_host"),
        ({"x-forwarded-prefix": "evil"}, "invalid_forwarded"),
        ({"x-forwarded-prefix": "//evil.example"}, "invalid_forwarded"),
        ({"x-forwarded-prefix": "/a?b"}, "invalid_forwarded"),
        ({"x-forwarded-prefix": "/../x"}, "invalid_forwarded"),
    ],
)
async def test_what_a_trusted_proxy_says_and_cannot_be_read_is_refused(
    headers: dict[str, str], code: str
) -> None:
    async with Client(application(ALL), client=("10.0.0.1", 1)) as client:
        response = await client.get("/seen", headers=headers)

        assert (response.status_code, response.json()["code"]) == (400, code)


# Forwarded.

STANDARD = TrustedProxies(networks=["10.0.0.0/8"], header="forwarded")


@pytest.mark.parametrize(
    ("value", "client", "url"),
    [
        ("for=1.2.3.4", "1.2.3.4", "http://testserver/seen"),
        ("for=1.2.3.4;proto=https;host=example.com", "1.2.3.4", "https://example.com/seen"),
        ('For="[2001:db8::1]:80";Proto=https', "2001:db8::1", "https://testserver/seen"),
        (
            "for=6.6.6.6;proto=https;host=evil.example, for=1.2.3.4",
            "1.2.3.4",
            "http://testserver/seen",
        ),
        (
            "for=1.2.3.4;proto=https;host=example.com, for=10.0.0.9;proto=http;host=inner",
            "1.2.3.4",
            "https://example.com/seen",
        ),
        ("for=1.2.3.4, for=10.0.0.9;proto=https", "1.2.3.4", "https://testserver/seen"),
        (
            "for=6.6.6.6;host=evil.example, for=unknown;proto=https",
            "10.0.0.1",
            "https://testserver/seen",
        ),
        ("proto=https", "10.0.0.1", "https://testserver/seen"),
    ],
)
async def test_the_forwarded_field_is_walked_from_the_right(
    value: str, client: str, url: str
) -> None:
    found = await see(STANDARD, {"forwarded": value, "x-forwarded-for": "6.6.6.6"})

    assert (found["client"], found["url"]) == (client, url)


async def test_a_quote_that_a_client_left_open_does_not_swallow_what_a_proxy_adds() -> None:
    fields = [("forwarded", 'for="6.6.6.6'), ("forwarded", "for=1.2.3.4")]

    assert (await see(STANDARD, fields))["client"] == "1.2.3.4"


async def test_only_one_family_of_fields_is_believed() -> None:
    found = await see(ALL, {"forwarded": "for=6.6.6.6;proto=https", "x-forwarded-for": "1.2.3.4"})

    assert (found["client"], found["scheme"]) == ("1.2.3.4", "http")


# Everywhere.


async def test_routes_of_a_host_see_the_forwarded_one() -> None:
    app = Oxidite(trusted_proxies=ALL)
    api = app.group(host="api.example.com")

    @api.get("/")
    async def index() -> str:
        return "api"

    async with Client(app, client=("10.0.0.1", 1)) as client:
        assert (await client.get("/")).status_code == 404
        assert (
            await client.get("/", headers={"x-forwarded-host": "api.example.com"})
        ).text == "api"


async def test_a_mounted_application_sees_the_client_too() -> None:
    seen: list[Message] = []

    async def other(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(scope)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    mounted: ASGIApp = other
    app = Oxidite(trusted_proxies=ALL)
    app.mount("/other", mounted)
    headers = {
        "x-forwarded-for": "1.2.3.4:5",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "example.com",
        "x-forwarded-prefix": "/shop",
    }

    async with Client(app, client=("10.0.0.1", 1)) as client:
        await client.get("/other/x", headers=headers)

    [scope] = seen
    assert scope["client"] == ("1.2.3.4", 5)
    assert scope["scheme"] == "https"
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"example.com"]
    assert scope["root_path"] == "/shop/other"


async def test_a_mounted_application_sees_the_client_of_a_websocket() -> None:
    seen: list[Message] = []

    async def other(scope: Message, receive: Receive, send: Send) -> None:
        seen.append(scope)

    mounted: ASGIApp = other
    app = Oxidite(trusted_proxies=ALL)
    app.mount("/other", mounted)
    fields = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "host": "example.com"}
    scope: Message = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/other/chat",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "client": ("10.0.0.1", 1),
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        raise AssertionError

    await app(scope, receive, send)

    assert [(each["type"], each["client"], each["scheme"]) for each in seen] == [
        ("websocket", ("1.2.3.4", 0), "wss")
    ]
    assert "method" not in seen[0]


async def test_a_redirect_to_the_other_slash_is_relative_whatever_proxies_say() -> None:
    app = Oxidite(trusted_proxies=ALL, trailing_slash="redirect")

    @app.get("/posts")
    async def posts() -> str:
        return "posts"

    headers = {
        "x-forwarded-host": "example.com",
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": "/a",
    }
    async with Client(app, client=("10.0.0.1", 1)) as client:
        response = await client.get("/posts/?x=//evil.example", headers=headers)

        assert response.status_code == 308
        assert response.headers["location"] == "../posts?x=//evil.example"


async def test_a_request_in_memory_stays_what_it_is() -> None:
    app = application(["unix"])

    async with app.running():
        request = Request.of("GET", "/seen", headers={"x-forwarded-for": "1.2.3.4"})
        response: Response = await app.handle(request)

    assert response.status == 200
    assert (request.client, request.proxies, request.host) == (None, (), "")
