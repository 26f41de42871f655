"""The schemas of what is one value: numbers, text, moments."""

from __future__ import annotations

from msgspec import inspect as mi

from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.examples import plain
from oxidite.openapi.keywords import NULL, NUMBERS, STRINGS, choice, constraints

__all__ = ["scalar_schema"]

DECIMAL = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,9})?$"

# The lengths of bytes are of the bytes, not of their text, so nothing can be said of them.
_BYTES: JSON = {"type": "string", "contentEncoding": "base64"}
_FLAT: dict[type[mi.Type], JSON] = {
    mi.AnyType: {},
    mi.RawType: {},
    mi.NoneType: NULL,
    mi.BoolType: {"type": "boolean"},
    mi.BytesType: _BYTES,
    mi.ByteArrayType: _BYTES,
    mi.MemoryViewType: _BYTES,
    mi.TimeType: {"type": "string", "format": "time"},
    mi.DateType: {"type": "string", "format": "date"},
    mi.TimeDeltaType: {"type": "string", "format": "duration"},
    mi.UUIDType: {"type": "string", "format": "uuid"},
}


def scalar_schema(t: mi.Type, direction: Direction) -> JSON:
    """Return the schema of a type that is made of no others; of one not known, what allows all."""
    match t:
        case mi.IntType():
            return {"type": "integer", **constraints(t, NUMBERS)}
        case mi.FloatType():
            return {"type": "number", **constraints(t, NUMBERS)}
        case mi.StrType():
            return {"type": "string", **constraints(t, STRINGS)}
        case mi.DecimalType():
            # Answered as text, so that no digit is lost; a number is taken, too.
            kinds = "string" if direction == "output" else ["string", "number"]
            return {"type": kinds, "format": "decimal", "pattern": DECIMAL}
        case mi.DateTimeType(tz=False):
            text = "A date and a time without a zone (ISO 8601)."
            return {"type": "string", "description": text}
        case mi.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case mi.LiteralType():
            return choice(map(plain, t.values))
    return dict(_FLAT.get(type(t), {}))
