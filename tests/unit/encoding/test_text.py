"""Text that stands for numbers: only as numbers, and no word for anything else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Literal, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from oxidite import Form, Oxidite, Query
from oxidite.encoding import MismatchError, codec_for
from oxidite.testing import Client

UserId = NewType("UserId", int)


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Filter(Struct):
    before: int | None = None
    name: str | None = None
    since: datetime | None = None
    ratio: float | None = None
    ids: list[int] = []


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (int, "12", 12),
        (int, "-3", -3),
        (int, "1e3", 1000),
        (float, "1.5", 1.5),
        (bool, "true", True),
        (bool, "0", False),
        (UserId, "7", 7),
        (Size, "2", Size.LARGE),
        (Literal[1, 2], "2", 2),
        (Annotated[int, Meta(ge=1)], "1", 1),
        (int | None, "4", 4),
        (int | str, "four", "four"),
        (list[int], ["1", "2"], [1, 2]),
        (datetime, "2026-01-05T09:30:00Z", datetime(2026, 1, 5, 9, 30, tzinfo=UTC)),
        (date | None, "2026-01-05", date(2026, 1, 5)),
        (timedelta, "PT5S", timedelta(seconds=5)),
        (str | None, "null", "null"),
        (list[str | None], ["null"], ["null"]),
    ],
)
def test_text_is_read_as_what_it_stands_for(type_: object, text: object, value: object) -> None:
    assert codec_for(type_).convert(text, strict=False) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (int | None, "null"),
        (int | None, "NULL"),
        (date | None, "null"),
        (list[int | None], ["null"]),
        (float, "nan"),
        (float, "inf"),
        (float, "1e999"),
        (float | None, "-Infinity"),
        (datetime, "1700000000"),
        (timedelta, "5"),
        (int, "9" * 5000),
        (bool, "yes"),
    ],
)
def test_words_and_numbers_mean_nothing_else(type_: object, text: object) -> None:
    with pytest.raises(MismatchError):
        codec_for(type_).convert(text, strict=False)


@given(st.text())
def test_text_stays_the_text_it_is(text: str) -> None:
    assert codec_for(str | None).convert(text, strict=False) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_number_is_read_back(number: int) -> None:
    assert codec_for(Filter).convert({"before": str(number)}, strict=False) == Filter(number)


async def test_the_word_null_in_a_url_or_a_form_is_a_word() -> None:
    app = Oxidite()

    @app.get("/")
    async def search(wanted: Query[Filter]) -> Filter:
        return wanted

    @app.post("/")
    async def submit(wanted: Form[Filter]) -> Filter:
        return wanted

    async with Client(app) as client:
        assert (await client.get("/?name=null")).json()["name"] == "null"
        assert (await client.post("/", data={"name": "null"})).json()["name"] == "null"
        for wrong in ("before=null", "since=null", "ratio=nan", "since=1700000000", "ids=null"):
            response = await client.get(f"/?{wrong}")
            assert response.status_code == 422, wrong
            assert response.json()["errors"][0]["parameter"] == wrong.partition("=")[0]
