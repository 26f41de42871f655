"""One connection: commands go out together, and replies come back in the order of their commands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from hiredis import ProtocolError, PushNotification, Reader, pack_command
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import RedisError, ResponseError

from oxidite.drivers.redis.errors import CONNECTING, reply_error
from oxidite.drivers.redis.options import RedisOptions
from oxidite.errors import BackendUnavailableError, ConfigError, OxiditeError, translate

__all__ = ["Argument", "Command", "Wire", "WireOwner", "connect", "packed"]

Argument: TypeAlias = str | bytes | int | float
"""A part of a command."""

_MORE = object()  # what the parser returns when a reply is not there yet
_PROTOCOL = 3
_TLS_CHECKS = {"require": "none", "verify-ca": "required", "verify-full": "required"}


class Command:
    """One command or several in a row, packed, and who waits for the replies."""

    __slots__ = ("count", "deadline", "future", "packed", "replies", "safe")

    def __init__(
        self,
        packed: bytes,
        future: asyncio.Future[object],
        deadline: float,
        *,
        safe: bool,
        count: int = 0,
    ) -> None:
        self.packed: bytes = packed
        self.future: asyncio.Future[object] = future
        self.deadline: float = deadline
        self.safe: bool = safe
        self.count: int = count
        self.replies: list[object] = []

    def answer(self, reply: object) -> bool:
        """Take a reply; return whether that was the last."""
        if self.count:
            self.replies.append(reply)
            if len(self.replies) < self.count:
                return False
            reply = self.replies
        # Who waited may have been cancelled, or told that it takes too long.
        if not self.future.done():
            if isinstance(reply, Exception):
                self.future.set_exception(reply)
            else:
                self.future.set_result(reply)
        return True

    def fail(self, error: Exception) -> None:
        """End it without a reply."""
        if not self.future.done():
            self.future.set_exception(error)


def packed(command: Sequence[Argument]) -> bytes:
    """Return a command as it is sent."""
    data: bytes = pack_command(tuple(command))  # type: ignore[arg-type]  # its stub allows one part only
    return data


class WireOwner(Protocol):
    """Who has a connection."""

    def writable(self) -> None:
        """Hear that more can be sent."""
        ...

    def pushed(self, message: list[object]) -> None:
        """Hear what the server says without being asked."""
        ...


class Wire(asyncio.Protocol):
    """A connection that is logged in.

    Whoever waits for a reply, or no longer does, each command has its place in the order until it is
    answered: no reply is ever given to another.
    """

    def __init__(self, owner: WireOwner) -> None:
        loop = asyncio.get_running_loop()
        self._owner = owner
        self._time = loop.time
        self._reader = Reader(replyError=reply_error, notEnoughData=_MORE)
        self._transport: asyncio.Transport | None = None
        self._broken: Exception | None = None
        self.waiting: deque[Command] = deque()
        self.is_paused: bool = False
        self.heard_at: float = loop.time()
        """When the server last said something, or had nothing left to say."""
        self.gone: asyncio.Future[Exception] = loop.create_future()
        """Done when the connection is closed, with the reason."""

    def take(self, transport: asyncio.Transport) -> None:
        """Read from ``transport`` from now on."""
        self._transport = transport
        transport.set_protocol(self)

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands as one write."""
        if not self.waiting:
            self.heard_at = self._time()
        self.waiting.extend(commands)
        self.write(b"".join([command.packed for command in commands]))

    def write(self, packed: bytes) -> None:
        """Send what is not answered by a reply."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packed)

    def data_received(self, data: bytes) -> None:
        """Hand replies to those who wait."""
        self.heard_at = self._time()
        reader, waiting = self._reader, self.waiting
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not _MORE:
                if type(reply) is PushNotification:
                    self._owner.pushed(reply)
                elif not waiting:
                    self.abort(_unasked(reply))
                    return
                elif waiting[0].answer(reply):
                    waiting.popleft()
        except ProtocolError as exc:
            self.abort(BackendUnavailableError(f"Redis sent what cannot be read: {exc}"))

    def pause_writing(self) -> None:
        """Hold back: the server does not read as fast as that."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self.is_paused = False
        self._owner.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it is over."""
        self._transport = None
        if not self.gone.done():
            ended = BackendUnavailableError("Redis closed the connection.")
            self.gone.set_result(self._broken or exc or ended)

    def abort(self, error: Exception) -> None:
        """Close at once, because of ``error``: what is on its way is lost."""
        self._broken = self._broken or error
        if self._transport is not None:
            self._transport.abort()


def _unasked(reply: object) -> Exception:
    if isinstance(reply, Exception):
        return reply
    return BackendUnavailableError("Redis sent a reply that nobody asked for.")


async def connect(options: RedisOptions, owner: WireOwner) -> Wire:
    """Connect and log in.

    Raises:
        BackendUnavailableError: there is nobody, or nobody who answers.
        ConfigError: the server does not let us in, or is not one that we can use.
    """
    connection = _connection(options)
    log_in: Callable[[], Awaitable[None]] = connection.connect  # which has no types
    failure: OxiditeError
    try:
        with translate(CONNECTING):
            async with asyncio.timeout(options.connect_timeout):
                await log_in()
                await _check(connection)
    except (BackendUnavailableError, ConfigError) as exc:
        await _close(connection)
        failure = exc
    except BaseException:
        await _close(connection)
        raise
    else:
        return _taken_over(connection, owner)
    # Outside of the handler: what the server said may hold a password, and must not hang on this.
    raise _told(failure, options) from _cause(failure)


def _taken_over(connection: AbstractConnection, owner: WireOwner) -> Wire:
    wire = Wire(owner)
    wire.take(_transport_of(connection))
    wire.gone.add_done_callback(lambda _: _forget(connection))
    return wire


def _connection(options: RedisOptions) -> AbstractConnection:
    return _kind(options)(
        db=options.db,
        username=options.username or None,
        password=options.password or None,
        client_name=options.name or None,
        socket_timeout=options.connect_timeout,
        protocol=_PROTOCOL,
    )


def _kind(options: RedisOptions) -> Callable[..., AbstractConnection]:
    if options.socket:
        return partial(UnixDomainSocketConnection, path=options.socket)
    if not options.tls:
        return partial(Connection, host=options.host, port=options.port)
    _check_files(options)
    return partial(
        SSLConnection,
        host=options.host,
        port=options.port,
        ssl_cert_reqs=_TLS_CHECKS[options.sslmode],
        ssl_check_hostname=options.sslmode == "verify-full",
        ssl_ca_certs=options.sslrootcert or None,
        ssl_certfile=options.sslcert or None,
        ssl_keyfile=options.sslkey or None,
    )


def _check_files(options: RedisOptions) -> None:
    for name in ("sslrootcert", "sslcert", "sslkey"):
        path: str = getattr(options, name)
        if path and not Path(path).is_file():
            # Not for redis-py to find out: a file that is missing is no server that is away.
            raise ConfigError(f"{name}={path}: there is no such file.")


async def _check(connection: AbstractConnection) -> None:
    await connection.send_command("HELLO")
    said = await connection.read_response()
    mode = said.get(b"mode") if isinstance(said, dict) else None
    if mode == b"cluster":
        raise reply_error("MOVED")
    if mode == b"sentinel":
        raise ConfigError("This is a Sentinel, not the server that it watches.")


def _told(exc: OxiditeError, options: RedisOptions) -> OxiditeError:
    """Return the error with the place in it, and without what servers repeat of a password."""
    text = str(exc) or "no answer in time"
    if "unknown command" in text.lower():
        # It lists the arguments, and the password is one of them.
        return ConfigError(f"{options.place} is older than Redis 6, and cannot be used.")
    if "db index" in text.lower():
        return ConfigError(f"{options.place} has no database {options.db}: {text}")
    return type(exc)(f"{options.place} cannot be used: {text}")


def _cause(exc: BaseException) -> BaseException | None:
    cause = exc.__cause__
    return None if isinstance(cause, ResponseError) else cause


async def _close(connection: AbstractConnection) -> None:
    try:
        await connection.disconnect(nowait=True)
    except (RedisError, OSError):
        _forget(connection)


# redis-py connects, encrypts and logs in; it has no public way to hand the transport on afterwards.


def _transport_of(connection: AbstractConnection) -> asyncio.Transport:
    writer = connection._writer  # noqa: SLF001 - see above
    if writer is None:
        raise BackendUnavailableError("Redis closed the connection.")
    # Not to be asked by isinstance: the transports of uvloop are none of asyncio's classes.
    return cast("asyncio.Transport", writer.transport)


def _forget(connection: AbstractConnection) -> None:
    # It would warn of a connection that was left open, and closes it when it is collected.
    connection._reader = connection._writer = None  # noqa: SLF001 - see above
