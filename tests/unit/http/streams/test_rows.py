from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field
from pydantic import BaseModel

from oxidite.http.streams import CSVStream


class Colour(Enum):
    RED = "red"


class Sale(Struct):
    product: str
    price: float = 1
    unit_price: Decimal | None = field(default=None, name="unitPrice")


@dataclass
class Plain:
    a: int
    b: str


class Model(BaseModel):
    a: int
    b: str


async def table(items: list[Any], **options: Any) -> str:
    content = CSVStream(items, **options).content
    return b"".join([chunk async for chunk in content if isinstance(chunk, bytes)]).decode()


async def test_the_fields_are_the_columns_under_their_names_on_the_wire() -> None:
    assert await table([Sale("tea"), Sale("milk", 2.5, Decimal("0.50"))]) == (
        "product,price,unitPrice\r\ntea,1,\r\nmilk,2.5,0.50\r\n"
    )


@pytest.mark.parametrize("item", [Plain(1, "x"), Model(a=1, b="x"), {"a": 1, "b": "x"}])
async def test_dataclasses_models_and_mappings_are_rows_too(item: object) -> None:
    assert await table([item]) == "a,b\r\n1,x\r\n"


async def test_columns_may_be_chosen_and_are_there_without_a_row() -> None:
    assert await table([{"a": 1, "b": 2}, {"b": 3}], columns=["b", "c"]) == "b,c\r\n2,\r\n3,\r\n"
    assert await table([], columns=["b", "c"]) == "b,c\r\n"
    assert await table([]) == ""


async def test_the_header_may_be_left_out() -> None:
    assert await table([{"a": 1}], header=False) == "1\r\n"
    assert await table([], header=False, columns=["a"]) == ""
    assert CSVStream([], header=False).content_type == "text/csv; charset=utf-8; header=absent"
    assert CSVStream([]).content_type == "text/csv; charset=utf-8; header=present"


async def test_every_value_has_one_text() -> None:
    values = {
        "moment": datetime(2026, 1, 5, tzinfo=UTC),
        "id": UUID(int=1),
        "colour": Colour.RED,
        "flag": True,
        "list": [1, "x"],
        "nothing": None,
        "number": 1e100,
    }
    (_, row) = csv.reader(io.StringIO(await table([values])))
    assert row == [
        "2026-01-05T00:00:00Z",
        "00000000-0000-0000-0000-000000000001",
        "red",
        "true",
        '[1,"x"]',
        "",
        "1e+100",
    ]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.tuples(cells, cells)))
async def test_whatever_is_written_is_read_back(rows: list[tuple[str, str]]) -> None:
    text = await table(
        [{"a": a, "b": b} for a, b in rows], columns=["a", "b"], escape_formulas=False
    )
    read = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))]
    assert read == [("a", "b"), *rows]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=1",
        "\uff1d1",
        "-2-3",
        "+1;",
        "-1\n",
    ],
)
async def test_what_begins_like_a_formula_is_kept_from_being_one(text: str) -> None:
    rows = list(csv.reader(io.StringIO(await table([{text: text}]), newline="")))
    assert rows == [[f"'{text}"], [f"'{text}"]]

    rows = list(
        csv.reader(io.StringIO(await table([{"a": text}], escape_formulas=False), newline=""))
    )
    assert rows[1] == [text]


@pytest.mark.parametrize(
    "value", ["-5", "+41791234567", "-1.50", Decimal("-2.5"), -3, "a=1", "'", ""]
)
async def test_a_number_with_a_sign_is_no_formula(value: object) -> None:
    assert (await table([{"a": value, "b": 1}])).splitlines()[1] == f"{value},1"


@pytest.mark.parametrize("item", [1, "text", [1, 2], None])
async def test_what_has_no_columns_is_no_row(item: object) -> None:
    with pytest.raises(TypeError, match="a row of CSV is a Struct"):
        await table([item])


def test_a_table_may_be_a_download() -> None:
    response = CSVStream[object]([], 203, download="ü.csv", headers={"x": "1"})
    assert response.headers["content-disposition"].endswith("filename*=UTF-8''%C3%BC.csv")
    assert (response.status, response.headers["x"]) == (203, "1")
