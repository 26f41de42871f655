"""The protocol of MariaDB and MySQL as aiomysql speaks it, without what makes it unsafe.

Its cursors are not used: they ask for warnings with a statement of their own, and write values into the
SQL in a way that lets any object through.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiomysql
from pymysql.constants import CLIENT, FIELD_TYPE, SERVER_STATUS

from oxidite.db.drivers.mysql_rows import RowsResult
from oxidite.errors import BackendUnavailableError

__all__ = ["Wire"]

_ONE_RESULT = (b"SELECT", b"INSERT", b"DELETE")
"""How statements begin that cannot have a second result, as a procedure may."""
_END = 5.0
"""Seconds that closing a socket may take."""


def _exact(text: str) -> Decimal:
    value = Decimal(text)
    # A column without a declared scale has 30 digits after the point, filled with zeros.
    if len(text) > 30 and text[-31] == "." and text[-1] == "0":
        value = Decimal(text.rstrip("0").rstrip("."))
    return value


def _time(text: str) -> time | str:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return text  # one of more than a day, which is none of ours


DECODERS: dict[int, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            FIELD_TYPE.TINY,
            FIELD_TYPE.SHORT,
            FIELD_TYPE.LONG,
            FIELD_TYPE.LONGLONG,
            FIELD_TYPE.INT24,
            FIELD_TYPE.YEAR,
        ),
        int,
    ),
    **dict.fromkeys((FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE), float),
    **dict.fromkeys((FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL), _exact),
    **dict.fromkeys((FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP), datetime.fromisoformat),
    **dict.fromkeys((FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE), date.fromisoformat),
    FIELD_TYPE.TIME: _time,
}
"""What the server's text becomes."""


if TYPE_CHECKING:

    class _Protocol:
        """What is used of aiomysql's connection, which has no types."""

        client_flag: int
        server_capabilities: int
        server_status: int
        closed: bool
        _ssl_context: object
        _secure: bool
        _reader: Any
        _writer: asyncio.StreamWriter | None
        _result: Any
        _affected_rows: int

        def __init__(self, **options: Any) -> None: ...
        def close(self) -> None: ...
        async def ensure_closed(self) -> None: ...
        async def query(self, sql: str | bytes, unbuffered: bool = False) -> int: ...
        def thread_id(self) -> int: ...
        def get_server_info(self) -> str: ...
        def get_transaction_status(self) -> bool: ...
        async def _connect(self) -> None: ...
        async def _read_query_result(self, unbuffered: bool = False) -> None: ...
        async def _request_authentication(self) -> None: ...
        async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any: ...

else:
    _Protocol = aiomysql.Connection


class Wire(_Protocol):
    """The protocol, without what makes it unsafe."""

    client_flag: int
    server_status: int
    _affected_rows: int

    def __init__(self, **options: Any) -> None:
        password: str = options.pop("password")
        super().__init__(
            # It encodes passwords as Latin-1, where the server has UTF-8.
            password=password.encode().decode("latin-1"),
            charset="utf8mb4",
            conv=DECODERS,
            autocommit=None,
            # Rows that were found count, not only those that became different.
            client_flag=CLIENT.FOUND_ROWS,
            **options,
        )
        self._has_one_result = False
        self._opened: asyncio.StreamWriter | None = None
        # One statement at a time: what is slipped into one cannot begin another.
        self.client_flag &= ~CLIENT.MULTI_STATEMENTS

    async def open(self) -> None:
        """Connect and log in."""
        try:
            await self._connect()
        except BaseException:
            self.close()
            raise
        self._opened = self._writer

    async def end(self) -> None:
        """Close the socket, and wait until it is; never raises."""
        self.close()
        if self._opened is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_END):
                    await self._opened.wait_closed()

    async def _request_authentication(self) -> None:
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            # It would go on in the clear.
            raise BackendUnavailableError(
                "The server has no TLS, and the URL asks for it. Set it up there, or say sslmode=disable."
            )
        await super()._request_authentication()

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        if plugin_name in (b"mysql_clear_password", b"mysql_old_password") and not self._secure:
            raise BackendUnavailableError(
                f"The server asks for the password by {plugin_name.decode()}, and the connection is not "
                "encrypted. Use TLS: sslmode=verify-full."
            )
        return await super()._process_auth(plugin_name, auth_packet)

    async def _read_query_result(self, unbuffered: bool = False) -> None:
        if unbuffered or not self._has_one_result:
            await super()._read_query_result(unbuffered=unbuffered)
            return
        self._result = None
        result: Any = RowsResult(self)
        await result.read()
        self._result = result
        self._affected_rows = result.affected_rows
        if result.server_status is not None:
            self.server_status = result.server_status

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a statement."""
        self._has_one_result = sql[:6] in _ONE_RESULT
        return await super().query(sql, unbuffered)

    @property
    def is_gone(self) -> bool:
        """Whether the other side has closed it."""
        reader = self._reader
        return reader is None or reader.eof_received or reader.exception() is not None

    @property
    def has_backslashes(self) -> bool:
        """Whether a backslash in text begins an escape."""
        return not self.server_status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES

    @property
    def result(self) -> Any:
        """What the last statement gave."""
        return self._result
