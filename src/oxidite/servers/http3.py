"""HTTP/3: one more worker, which is Hypercorn with aioquic on the same port over UDP."""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess

from oxidite.errors import ConfigError, MissingExtraError
from oxidite.servers.base import ListenError, Settings
from oxidite.servers.supervisor import Start
from oxidite.servers.target import Target
from oxidite.servers.tls import is_encrypted
from oxidite.servers.workers import Report, WorkerLoader

__all__ = ["http3_worker"]


@contextlib.contextmanager
def http3_worker(app: Target, settings: Settings) -> Iterator[Start | None]:
    """Hold the socket, and give what makes the worker; nothing if nobody wants it.

    Raises:
        ConfigError: the settings ask for what cannot be had over HTTP/3.
        ListenError: the port is taken over UDP.
        MissingExtraError: aioquic is not installed.
    """
    if not settings.http3:
        yield None
        return
    _check(settings)
    # Not copied, as this process may have threads.
    context = multiprocessing.get_context("spawn")
    with _listening(settings) as sock:

        def start(_: int, report: Report) -> BaseProcess:
            return context.Process(target=_worker, args=(app, settings, sock, report))

        yield start


def _check(settings: Settings) -> None:
    if settings.tls is None:
        raise ConfigError("HTTP/3 needs TLS: --tls-cert and --tls-key.")
    if settings.uds is not None or settings.fd is not None:
        raise ConfigError("HTTP/3 needs a host and a port, and the same ones over TCP.")
    if settings.tls.client_ca is not None:
        raise ConfigError("Over HTTP/3 nobody would ask clients for a certificate. Leave one out.")
    if is_encrypted(settings.tls):
        raise ConfigError("HTTP/3 cannot open an encrypted key. Give it a key without a password.")
    if not all(map(importlib.util.find_spec, ("hypercorn", "aioquic"))):
        raise MissingExtraError("http3", needed_by="HTTP/3")


def _listening(settings: Settings) -> socket.socket:
    # The first address of a name, as over TCP.
    family, kind, protocol, _, where = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.bind(where)
    except OSError as exc:
        sock.close()
        raise ListenError(
            f"Cannot speak HTTP/3 on {settings.host}:{settings.port} over UDP: {exc.strerror}."
        ) from None
    return sock


def _worker(app: Target, settings: Settings, sock: socket.socket, report: Report) -> None:
    from oxidite.servers.hypercorn_worker import common_config, work
    from oxidite.servers.quic import install_quic

    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    # Here it is not announced, as whoever asks has found it.
    found = WorkerLoader(replace(app, worker=None), replace(settings, http3=False), report)()
    config = common_config(settings)
    config.bind = []
    config.quic_bind = [f"fd://{sock.detach()}"]
    config.alt_svc_headers = []
    install_quic(config)
    raise SystemExit(work(found, settings, config, report.serves, signals=(signal.SIGTERM,)))
