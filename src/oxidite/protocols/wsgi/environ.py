"""What a WSGI application is told of a request (PEP 3333, "environ Variables")."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, TypeAlias

from oxidite.protocols.asgi import Message

__all__ = ["Environ", "environ_of"]

Environ: TypeAlias = dict[str, Any]  # PEP 3333 leaves it open what servers and middleware add

# `Proxy` would become HTTP_PROXY, which programs take for an order to use one (CVE-2016-5385).
_LEFT_OUT = frozenset((b"content-type", b"content-length", b"proxy"))


def environ_of(scope: Message, body: BinaryIO) -> Environ:
    """Return the ``environ`` of an HTTP scope; ``body`` becomes ``wsgi.input``.

    Text is bytes decoded as Latin-1 throughout, as PEP 3333 wants it.
    """
    root_path = scope.get("root_path", "").rstrip("/")
    headers: list[tuple[bytes, bytes]] = list(scope["headers"])
    scheme = scope.get("scheme", "http")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _latin_1(root_path),
        "PATH_INFO": _latin_1(_below(scope["path"], root_path)),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        # The input ends where the body does, announced length or not: read() is safe.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,  # nobody here knows, and this is the careful answer
        "wsgi.run_once": False,
    }
    environ.update(_server(scope.get("server"), scheme))
    environ.update(_client(scope.get("client")))
    environ.update(_content(headers))
    environ.update(_fields(headers))
    return environ


def _latin_1(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _below(path: str, root_path: str) -> str:
    """Return the path inside the mount; most servers give the whole one, some the rest."""
    if path == root_path or path.startswith(f"{root_path}/"):
        return path[len(root_path) :]
    return path


def _server(server: tuple[str, int | None] | None, scheme: str) -> Environ:
    host, port = server or ("", None)
    if port is None:  # unknown, or the path of a Unix socket
        host, port = "localhost", 443 if scheme == "https" else 80
    return {"SERVER_NAME": host or "localhost", "SERVER_PORT": str(port)}


def _client(client: tuple[str, int | None] | None) -> Environ:
    if client is None or not client[0]:
        return {}
    return {"REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1] or 0)}


def _content(headers: Iterable[tuple[bytes, bytes]]) -> Environ:
    # The first of each, as elsewhere. A server refuses contradicting lengths.
    first = dict(reversed([(name.lower(), value) for name, value in headers]))
    return {
        key: first[name].decode("latin-1")
        for name, key in ((b"content-type", "CONTENT_TYPE"), (b"content-length", "CONTENT_LENGTH"))
        if name in first
    }


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> Environ:
    fields: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.lower()
        # An underscore would let a client write a field over one that a proxy vouches for.
        if name in _LEFT_OUT or b"_" in name:
            continue
        key = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
        value = raw_value.decode("latin-1")
        separator = "; " if name == b"cookie" else ","
        fields[key] = f"{fields[key]}{separator}{value}" if key in fields else value
    return fields
