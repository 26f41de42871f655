"""Parts of dates and moments. Moments are taken in UTC, whatever zone the server is in."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from oxidite.db.sql.types import Element, Form, Forms, number, word

__all__ = ["DATES"]


def _integer(value: Element) -> Element:
    return sa.cast(value, sa.Integer)


def _strftime(pattern: str, value: Element, *changes: str) -> Element:
    return sa.func.strftime(word(pattern), value, *map(word, changes))


def _sqlite_number(pattern: str, value: Element, *changes: str) -> Element:
    return _integer(_strftime(pattern, value, *changes))


def _sqlite_part(options: tuple[str, str], value: Element) -> Element:
    part = options[0]
    match part:
        case "weekday":  # %w has Sunday as 0
            return (_sqlite_number("%w", value) + number(6)) % number(7) + number(1)
        case "quarter":
            return _divided(_sqlite_number("%m", value) + number(2), 3)
        case "week":  # that of its Thursday
            day = _sqlite_number("%j", value, "-3 days", "weekday 4")
            return _divided(day - number(1), 7) + number(1)
        case _:
            return _sqlite_number(_SQLITE_PARTS[part], value)


def _divided(value: Element, by: int) -> Element:
    return value.op("/", precedence=8)(number(by))


_SQLITE_PARTS: Mapping[str, str] = {
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
    "yearday": "%j",
    "epoch": "%s",
}
_POSTGRESQL_PARTS: Mapping[str, str] = {"weekday": "isodow", "yearday": "doy"}


def _utc(value: Element, kind: str) -> Element:
    return sa.func.timezone(word("UTC"), value) if kind == "datetime" else value


def _postgresql_part(options: tuple[str, str], value: Element) -> Element:
    part, kind = options
    found = sa.extract(_POSTGRESQL_PARTS.get(part, part), _utc(value, kind))
    return sa.cast(sa.func.floor(found), sa.BigInteger)


def _mysql_part(options: tuple[str, str], value: Element) -> Element:
    part = options[0]
    match part:
        case "weekday":
            return sa.func.weekday(value) + number(1)
        case "week":
            return sa.func.week(value, number(3))
        case "epoch":
            return sa.func.timestampdiff(
                sa.literal_column("SECOND"), word("1970-01-01 00:00:00"), value
            )
        case "day" | "yearday":
            return sa.Function("dayofmonth" if part == "day" else "dayofyear", value)
        case _:
            return sa.Function(part, value)


_DAYS: Mapping[str, str] = {"year": "%Y-01-01", "month": "%Y-%m-01", "day": "%Y-%m-%d"}
_TIMES: Mapping[str, str] = {"hour": "%H:00:00", "minute": "%H:%M:00", "second": "%H:%M:%S"}


def _sqlite_trunc(options: tuple[str, str], value: Element) -> Element:
    part, kind = options
    after = "" if kind == "date" else " 00:00:00.000000"
    match part:
        case "week":
            return _strftime(f"%Y-%m-%d{after}", value, "weekday 0", "-6 days")
        case "quarter":
            month = _divided(_sqlite_number("%m", value) - number(1), 3) * number(3) + number(1)
            year: Element = _strftime("%Y", value)
            return year.concat(sa.func.printf(word(f"-%02d-01{after}"), month))
        case _ if part in _TIMES:
            return _strftime(f"%Y-%m-%d {_TIMES[part]}.000000", value)
        case _:
            return _strftime(f"{_DAYS[part]}{after}", value)


def _postgresql_trunc(options: tuple[str, str], value: Element) -> Element:
    part, kind = options
    if kind == "date":
        return sa.cast(sa.func.date_trunc(word(part), sa.cast(value, sa.TIMESTAMP)), sa.Date)
    return sa.func.date_trunc(word(part), value, word("UTC"))


def _mysql_trunc(options: tuple[str, str], value: Element) -> Element:
    part, kind = options
    day = sa.func.date(value)
    match part:
        case "week":
            found = sa.func.subdate(day, sa.func.weekday(value))
        case "quarter":
            month = (sa.func.quarter(value) - number(1)) * number(3) + number(1)
            found = sa.func.date(sa.func.concat(sa.func.year(value), word("-"), month, word("-01")))
        case _ if part in _TIMES:
            pattern = f"%Y-%m-%d {_TIMES[part]}".replace("%M", "%i").replace("%S", "%s")
            found = sa.func.date_format(value, word(pattern))
        case _:
            found = sa.func.date_format(value, word(_DAYS[part]))
    return sa.cast(found, sa.Date() if kind == "date" else mysql.DATETIME(fsp=6))


DATES: Mapping[str, Form | Forms] = {
    "part": {"sqlite": _sqlite_part, "postgresql": _postgresql_part, "mysql": _mysql_part},
    "trunc": {"sqlite": _sqlite_trunc, "postgresql": _postgresql_trunc, "mysql": _mysql_trunc},
    "now": {
        "sqlite": lambda: sa.literal_column("strftime('%Y-%m-%d %H:%M:%f000', 'now')"),
        "postgresql": sa.func.now,
        "mysql": lambda: sa.func.utc_timestamp(number(6)),
    },
}
