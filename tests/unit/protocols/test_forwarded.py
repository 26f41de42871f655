from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from oxidite.http import Address
from oxidite.protocols.forwarded import PROXIES, ForwardedScope, forwarded

PROXY = (Address("10.0.0.1", 1),)


class Headers:
    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def get(self, key: str, default: str | None = None) -> str | None:
        return dict(self._fields).get(key, default)

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self._fields if name == key]

    def items(self) -> list[tuple[str, str]]:
        return self._fields


@dataclass
class Scope:
    scheme: str = "http"
    path: str = "/path"
    headers: Headers = field(
        default_factory=lambda: Headers([("host", "inner"), ("x", "1"), ("x", "2")])
    )


@pytest.mark.parametrize("client", [Address("1.2.3.4", 5), Address("::1", 5)])
def test_a_scope_of_rsgi_has_other_values_and_keeps_the_rest(client: Address) -> None:
    scope = ForwardedScope(Scope(), client, "https", "example.com", PROXY)

    assert (scope.client, scope.scheme, scope.proxies) == (f"[{client.host}]:5", "https", PROXY)
    assert scope.path == "/path"
    assert scope.headers.get("host") == "example.com"
    assert scope.headers.get_all("host") == ["example.com"]
    assert scope.headers.get_all("x") == ["1", "2"]
    assert scope.headers.items() == [("host", "example.com"), ("x", "1"), ("x", "2")]


def test_what_no_proxy_told_stays() -> None:
    original = Scope()
    scope = ForwardedScope(original, Address("1.2.3.4", 0), None, None, PROXY)

    assert scope.scheme == "http"
    assert scope.headers is original.headers
    with pytest.raises(AttributeError):
        _ = scope.nothing


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
def test_a_scope_of_asgi_is_a_new_one_with_other_values(kind: str, scheme: str) -> None:
    original = {
        "type": kind,
        "scheme": "x",
        "client": None,
        "headers": [(b"Host", b"a"), (b"x", b"1")],
    }

    scope = forwarded(original, Address("1.2.3.4", 5), "https", "example.com", PROXY)

    assert scope["client"] == ("1.2.3.4", 5)
    assert scope["scheme"] == scheme
    assert scope["headers"] == [(b"host", b"example.com"), (b"x", b"1")]
    assert scope[PROXIES] == PROXY
    assert (original["scheme"], original["client"]) == ("x", None)
