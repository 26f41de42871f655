"""The options of ``oxidite serve`` that are about limits, workers and TLS."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypedDict, TypeVar, cast

import click

from oxidite.config import Secret
from oxidite.servers import TLS, Renewal

__all__ = [
    "Limits",
    "Others",
    "QueuesType",
    "SizeType",
    "limit_options",
    "limits_of",
    "tls_of",
    "tls_options",
]

C = TypeVar("C", bound=Callable[..., object])

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SIZE = re.compile(r"(\d+)\s*(?:([kmg])i?b?)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class Others(TypedDict):
    """What these options say."""

    workers: int | None
    backlog: int
    connections: int
    max_in_flight: int | None
    idle_timeout: float
    body_timeout: float
    body_rate: int
    graceful_timeout: float
    max_requests: int | None
    max_requests_jitter: int | None
    max_lifetime: float | None
    max_memory: int | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_min: str
    tls_client_ca: Path | None
    tls_client: str
    http: str
    http3: bool


class Limits(TypedDict):
    """The settings that come of them."""

    workers: int
    backlog: int
    connections: int
    max_in_flight: int | None
    idle_timeout: float
    body_timeout: float
    body_rate: int
    graceful_timeout: float
    renewal: Renewal


class WorkersType(click.ParamType[int]):
    """A number, or as many as there are processors."""

    name = "workers"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it."""
        if value == "auto":
            return processors()
        try:
            found = int(str(value))
        except ValueError:
            found = 0
        if found < 1:
            self.fail(f"{value!r} is neither a number of at least 1 nor 'auto'.", param, ctx)
        return found


class SizeType(click.ParamType[int]):
    """Bytes: ``268435456`` or ``256M``."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it."""
        found = _SIZE.fullmatch(str(value).strip())
        if found is None or not int(found[1]):
            self.fail(f"{value!r} is no size such as 512M or 2G.", param, ctx)
        return int(found[1]) * _UNITS[(found[2] or "").lower()]


class QueuesType(click.ParamType[dict[str, int]]):
    """Names of queues, with weights: ``mail=3,default``."""

    name = "queues"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        """Read it."""
        found: dict[str, int] = {}
        for part in str(value).split(","):
            name, _, weight = part.strip().partition("=")
            if not name or (weight and not weight.isdecimal()) or weight == "0":
                self.fail(f"{part!r} is neither a queue nor a queue with a weight, as mail=3.")
            found[name] = int(weight or 1)
        return found


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_COUNT = click.IntRange(1)
_SECONDS = click.FloatRange(0, min_open=True)

_LIMITS = (
    click.option(
        "--workers",
        type=WorkersType(),
        metavar="N",
        help="How many processes; auto is one for each processor.  [$WEB_CONCURRENCY, else 1]",
    ),
    click.option(
        "--backlog",
        type=_COUNT,
        default=16_384,
        show_default=True,
        metavar="N",
        help="How many connections may wait to be accepted.",
    ),
    click.option(
        "--connections",
        type=_COUNT,
        default=16_384,
        show_default=True,
        metavar="N",
        help="How many connections a worker holds, idle ones included.",
    ),
    click.option(
        "--max-in-flight",
        type=_COUNT,
        metavar="N",
        help="How many requests a worker answers at once; to more it says 503.",
    ),
    click.option(
        "--idle-timeout",
        type=_SECONDS,
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a connection may take until the head of its next request is complete.",
    ),
    click.option(
        "--body-timeout",
        type=_SECONDS,
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a body may be waited for, and a second more for each --body-rate bytes.",
    ),
    click.option(
        "--body-rate",
        type=_COUNT,
        default=500,
        show_default=True,
        metavar="BYTES",
        help="How many bytes of a body must come in a second, after that.",
    ),
    click.option(
        "--graceful-timeout",
        type=click.FloatRange(0),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long requests may take to finish at the end.",
    ),
    click.option(
        "--max-requests", type=_COUNT, metavar="N", help="Renew a worker after so many requests."
    ),
    click.option(
        "--max-requests-jitter",
        type=click.IntRange(0),
        metavar="N",
        help="At random up to so many more, so that not all are renewed at once.  [a tenth]",
    ),
    click.option(
        "--max-lifetime", type=_SECONDS, metavar="SECONDS", help="Renew a worker after this time."
    ),
    click.option(
        "--max-memory",
        type=SizeType(),
        metavar="SIZE",
        help="Renew a worker that holds more than this, such as 512M.",
    ),
)

_TLS = (
    click.option("--tls-cert", type=_FILE, help="A certificate with its chain, PEM: serve HTTPS."),
    click.option(
        "--tls-key", type=_FILE, help="Its key, PEM; TLS_KEY_PASSWORD opens an encrypted one."
    ),
    click.option(
        "--tls-min",
        type=click.Choice(["1.2", "1.3"]),
        default="1.2",
        show_default=True,
        help="The lowest version of TLS.",
    ),
    click.option(
        "--tls-client-ca", type=_FILE, help="Who vouches for clients, PEM: ask for certificates."
    ),
    click.option(
        "--tls-client",
        type=click.Choice(["required", "optional"]),
        default="required",
        show_default=True,
        help="Whether a client may come without a certificate.",
    ),
    click.option(
        "--http",
        type=click.Choice(["auto", "1", "2"]),
        default="auto",
        show_default=True,
        help="Which versions of HTTP are spoken over TCP.",
    ),
    click.option("--http3", is_flag=True, help="Speak HTTP/3 too, on the same port over UDP."),
)


def limit_options(command: C) -> C:
    """Give a command the options about limits and workers."""
    for option in reversed(_LIMITS):
        command = option(command)
    return command


def tls_options(command: C) -> C:
    """Give a command the options about TLS and the versions of HTTP."""
    for option in reversed(_TLS):
        command = option(command)
    return command


def limits_of(others: Others, workers: int) -> Limits:
    """Return the settings about limits; ``workers`` is how many if nobody says."""
    requests, jitter = others["max_requests"], others["max_requests_jitter"]
    if jitter is not None and requests is None:
        raise click.UsageError("--max-requests-jitter goes with --max-requests.")
    return {
        "workers": others["workers"] or workers,
        "backlog": others["backlog"],
        "connections": others["connections"],
        "max_in_flight": others["max_in_flight"],
        "idle_timeout": others["idle_timeout"],
        "body_timeout": others["body_timeout"],
        "body_rate": others["body_rate"],
        "graceful_timeout": others["graceful_timeout"],
        "renewal": Renewal(
            requests=requests,
            jitter=(requests or 0) // 10 if jitter is None else jitter,
            lifetime=others["max_lifetime"],
            memory=others["max_memory"],
        ),
    }


def tls_of(others: Others, password: Secret[str] | None) -> TLS | None:
    """Return the settings about TLS, if there is to be TLS."""
    certificate, key, authority = others["tls_cert"], others["tls_key"], others["tls_client_ca"]
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together.")
    if certificate is None or key is None:
        for name, given in (("--tls-client-ca", authority), ("--http3", others["http3"])):
            if given:
                raise click.UsageError(f"{name} needs --tls-cert and --tls-key.")
        return None
    return TLS(
        certificate=certificate,
        key=key,
        password=password,
        minimum=cast("Literal['1.2', '1.3']", others["tls_min"]),
        client_ca=authority,
        client_required=others["tls_client"] == "required",
    )
