"""Values in the SQL of MariaDB and MySQL: each is one literal, whatever is in it, or it is refused."""

from __future__ import annotations

import asyncio
import enum
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.db import Database, QueryError
from oxidite.db.drivers.mysql import _dialect_of
from oxidite.db.values.dialects import MARIADB, MYSQL
from oxidite.db.values.literals import Items, written
from oxidite.errors import BackendUnavailableError, ConfigError


class Word(enum.StrEnum):
    HOSTILE = "'; --"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "1"),
        (-(2**63), "-9223372036854775808"),
        (0.1, "0.1e0"),
        (-0.0, "-0.0e0"),
        (1e300, "1e+300"),
        (Decimal("1E+3"), "1000"),
        (b"\0'", "x'0027'"),
        (bytearray(b"a"), "x'61'"),
        (date(1, 1, 2), "DATE'0001-01-02'"),
        (time(1, 2), "TIME'01:02:00.000000'"),
        (datetime(2026, 1, 1, tzinfo=UTC), "TIMESTAMP'2026-01-01 00:00:00.000000'"),
        (
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            "TIMESTAMP'2025-12-31 23:00:00.000000'",
        ),
        (Word.HOSTILE, "'''; --'"),
        (Items((1, "a'")), "(1, 'a''')"),
        (Items(), "(SELECT NULL FROM DUAL WHERE FALSE)"),
    ],
)
def test_how_a_value_is_written(value: object, text: str) -> None:
    assert written("?", (value,), backslashes=False).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        {"a": "'; DROP TABLE users; --"},
        ["a"],
        ("a", "b"),
        {1},
        pytest.param(object(), id="object"),
        float("nan"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
        "half \ud83d",
        time(1, tzinfo=UTC),
        Items(({},)),
    ],
    ids=repr,
)
def test_what_is_no_plain_value_is_refused(value: object) -> None:
    with pytest.raises(QueryError):
        written("SELECT ?", (value,), backslashes=False)


@given(st.text(), st.booleans())
def test_text_is_one_literal(text: str, backslashes: bool) -> None:
    try:
        made = written("?", (text,), backslashes=backslashes).decode()
    except QueryError:
        assert any("\ud800" <= each <= "\udfff" for each in text)
        return
    inside = r"(?:[^'\\]|\\.|'')*" if backslashes else r"(?:[^']|'')*"
    assert re.fullmatch(f"'{inside}'", made, re.DOTALL)
    found = made[1:-1].replace("''", "'")
    assert (found.replace("\\\\", "\\") if backslashes else found) == text


@pytest.mark.parametrize(
    ("sql", "backslashes", "text"),
    [
        ("a = ? -- ?\n AND b LIKE '?%' AND `?` = \"?\" /* ? */ AND c = ?", False, None),
        ("'\\' = ?", False, "'\\' = 1"),
        ("'\\'?' = ?", True, "'\\'?' = 1"),
        ("'it''s ?' % ?", False, "'it''s ?' % 1"),
        ("5 %s ? # ?", False, "5 %s 1 # ?"),
    ],
)
def test_only_placeholders_are_replaced(sql: str, backslashes: bool, text: str | None) -> None:
    if text is None:
        text = "a = 1 -- ?\n AND b LIKE '?%' AND `?` = \"?\" /* ? */ AND c = 2"
        assert written(sql, (1, 2), backslashes=backslashes).decode() == text
    else:
        assert written(sql, (1,), backslashes=backslashes).decode() == text
    with pytest.raises(QueryError, match="0 values do not fit the SQL"):
        written(sql, (), backslashes=backslashes)


def test_what_a_server_is() -> None:
    assert _dialect_of("10.11.6-MariaDB-0+deb12u1") is MARIADB
    assert _dialect_of("5.5.5-10.6.1-MariaDB") is MARIADB
    assert _dialect_of("11.4.2-MariaDB-ubu2404") is MARIADB
    assert _dialect_of("8.0.36") is MYSQL
    assert _dialect_of("8.4.0-commercial") is MYSQL
    with pytest.raises(ConfigError, match=r"MariaDB 10\.5\.9-MariaDB is too old: 10\.6 or later"):
        _dialect_of("10.5.9-MariaDB")
    with pytest.raises(ConfigError, match=r"MySQL 5\.7\.44 is too old"):
        _dialect_of("5.7.44")


async def test_a_password_is_never_sent_in_the_clear() -> None:
    received: list[bytes] = []
    left = asyncio.Event()

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def packet(number: int, data: bytes) -> bytes:
            return len(data).to_bytes(3, "little") + bytes([number]) + data

        abilities = 0x000FA205  # protocol 4.1, plugins, and no TLS
        writer.write(
            packet(
                0,
                b"\x0a8.0.36\0" + bytes(4) + b"12345678\0" + (abilities & 0xFFFF).to_bytes(2, "little")
                + b"\x2d\x02\0" + (abilities >> 16).to_bytes(2, "little") + b"\x15" + bytes(10)
                + b"123456789012\0mysql_native_password\0",
            )
        )  # fmt: skip
        received.append(await reader.read(10_000))
        writer.write(packet(2, b"\xfemysql_clear_password\0\0"))
        received.append(await reader.read(10_000))
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database: Any = Database.from_url(f"mysql://app:geheim@127.0.0.1:{port}/app")
        with pytest.raises(BackendUnavailableError, match="password by mysql_clear_password"):
            async with database:
                pass
        await left.wait()
    assert b"app" in received[0]
    assert received[1] == b""
    assert not any(b"geheim" in each for each in received)
