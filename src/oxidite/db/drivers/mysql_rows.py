"""Reads the rows of a result out of what has arrived, many at once.

aiomysql waits twice for each row, for four bytes and for the rest, and makes objects of each packet. Most
of a result is there already when its first row is, so it is read here from one piece of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiomysql.connection import MySQLResult
from pymysql.constants import CR
from pymysql.err import InternalError, OperationalError
from pymysql.protocol import MysqlPacket

__all__ = ["RowsResult"]

Read = Callable[[bytearray], Any]

_PIECE = 256 * 1024
"""Bytes that are asked for at once."""
_MOST = 0xFFFFFF
"""Bytes of a packet; what is longer goes on in the next one."""
_NULL, _SIZES = 0xFB, {0xFC: 2, 0xFD: 3, 0xFE: 8}


if TYPE_CHECKING:

    class _Result:
        """What is used of aiomysql's result, which has no types."""

        connection: Any
        converters: Sequence[tuple[str | None, Callable[[Any], Any] | None]]
        affected_rows: int
        rows: Sequence[tuple[Any, ...]]

        def __init__(self, connection: object) -> None: ...
        async def read(self) -> None: ...
        def _check_packet_is_eof(self, packet: MysqlPacket) -> bool: ...

else:
    _Result = MySQLResult


class RowsResult(_Result):
    """The result of a statement that has one, and no second one after it."""

    connection: Any
    affected_rows: int
    rows: Sequence[tuple[Any, ...]]

    async def _read_rowdata_packet(self) -> None:
        connection = self.connection
        reads = [_read_of(encoding, converter) for encoding, converter in self.converters]
        rows: list[tuple[Any, ...]] = []
        packets = _Packets(connection)
        while True:
            data, start, end = packets.next() or await packets.wait()
            first = data[start]
            if first == 0xFF or (first == 0xFE and end - start < 9):
                packet = MysqlPacket(bytes(data[start:end]), connection.encoding)
                packets.end(end)
                packet.check_error()
                self._check_packet_is_eof(packet)
                break
            rows.append(_row(data, start, reads))
        self.connection = None
        self.affected_rows = len(rows)
        self.rows = rows


class _Packets:
    """Packets out of what has arrived."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._data = bytearray()
        self._at = 0

    def next(self) -> tuple[bytearray, int, int] | None:
        """Return where the next packet is, if all of it is there."""
        data, at = self._data, self._at
        if len(data) < at + 4:
            return None
        size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        start = at + 4
        end = start + size
        if len(data) < end:
            return None
        if size == _MOST:
            return self._long()
        self._count(data[at + 3])
        self._at = end
        return data, start, end

    async def wait(self) -> tuple[bytearray, int, int]:
        """Return the next packet when all of it is there."""
        while True:
            await self._more()
            found = self.next()
            if found is not None:
                return found

    def end(self, end: int) -> None:
        """Say that this was the last one: nothing may follow it."""
        if len(self._data) != end:
            self._connection.close()
            raise InternalError(
                CR.CR_MALFORMED_PACKET, "The server sent more than it was asked for"
            )

    async def _more(self) -> None:
        del self._data[: self._at]
        self._at = 0
        try:
            piece = await self._connection._reader.read(_PIECE)  # noqa: SLF001 - what it reads from
        except asyncio.CancelledError:
            self._connection.close()
            raise
        except OSError as exc:
            self._connection.close()
            raise OperationalError(CR.CR_SERVER_LOST, f"Lost connection: {exc}") from exc
        if not piece:
            self._connection.close()
            raise OperationalError(
                CR.CR_SERVER_LOST, "Lost connection to the server during a query"
            )
        self._data += piece

    def _long(self) -> tuple[bytearray, int, int] | None:
        """Return a packet that goes on in others, if all of them are there."""
        data, at = self._data, self._at
        whole, numbers = bytearray(), []
        while True:
            if len(data) < at + 4:
                return None
            size = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            if len(data) < at + 4 + size:
                return None
            numbers.append(data[at + 3])
            whole += data[at + 4 : at + 4 + size]
            at += 4 + size
            if size < _MOST:
                break
        for number in numbers:
            self._count(number)
        self._at = at
        return whole, 0, len(whole)

    def _count(self, number: int) -> None:
        if number != self._connection._next_seq_id:  # noqa: SLF001 - it counts them
            self._connection.close()
            raise InternalError(CR.CR_MALFORMED_PACKET, "The server's packets are out of order")
        self._connection._next_seq_id = (number + 1) & 0xFF  # noqa: SLF001 - as above


def _row(data: bytearray, at: int, reads: Sequence[Read]) -> tuple[Any, ...]:
    # PERF: half of the time of a list of rows.
    row: list[Any] = []
    for read in reads:
        size = data[at]
        at += 1
        if size >= _NULL:
            if size == _NULL:
                row.append(None)
                continue
            width = _SIZES[size]
            size = int.from_bytes(data[at : at + width], "little")
            at += width
        row.append(read(data[at : at + size]))
        at += size
    return tuple(row)


def _read_of(encoding: str | None, converter: Callable[[Any], Any] | None) -> Read:
    """Return what makes a value of its bytes."""
    if converter is int or converter is float:
        return converter  # these two take bytes too
    if encoding is None:
        return bytes if converter is None else lambda data: converter(bytes(data))
    if converter is None:
        return bytearray.decode
    return lambda data: converter(data.decode())
