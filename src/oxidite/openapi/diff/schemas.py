"""Compares two schemas. What is sent may not become narrower, what is answered not wider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from oxidite.openapi.base import JSON
from oxidite.openapi.diff.base import Change, Document, Side

__all__ = ["SchemaDiff"]

_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ANYTHING: JSON = {}


class SchemaDiff:
    """Compares schemas of two documents."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str, Side]] = set()

    def compare(self, old: Any, new: Any, side: Side, where: str) -> Iterator[Change]:
        """Yield the changes of a schema; each pair of named ones is looked at once."""
        pair = (_identity(old), _identity(new), side)
        if pair in self._seen or (old == new and not _refers(old)):
            return
        self._seen.add(pair)
        olds, news = self._variants(self._old, old), self._variants(self._new, new)
        # Of what is sent, every old form must still be understood; of what is answered, every new
        # form must be one that is known.
        must, may = (olds, news) if side == "input" else (news, olds)
        matches = [(variant, _match(variant, may)) for variant in must]
        for variant, other in matches:
            if other is None:
                yield self._lost(variant, may, side, where)
            else:
                was, now = (variant, other) if side == "input" else (other, variant)
                yield from self._same_kind(was, now, side, where)
        found = [other for _, other in matches]
        if None not in found:
            for variant in may:
                if not any(variant is other for other in found):
                    yield self._more(variant, side, where)

    def _more(self, variant: JSON, side: Side, where: str) -> Change:
        if side == "input":
            return Change(
                where, "type-widened", f"{_kind(variant)} is accepted too", breaking=False
            )
        message = f"{_kind(variant)} is not answered any more"
        return Change(where, "type-narrowed", message, breaking=False)

    def _lost(self, variant: JSON, may: list[JSON], side: Side, where: str) -> Change:
        known = " or ".join(map(_kind, may))
        if side == "input":
            message = f"{_kind(variant)} is not accepted any more, only {known}"
            return Change(where, "type-narrowed", message, breaking=True)
        message = f"{_kind(variant)} may be answered, where it was {known}"
        return Change(where, "type-widened", message, breaking=True)

    def _variants(self, document: Document, schema: Any) -> list[JSON]:
        """Return the forms that a schema allows: members of a union, and each of several types."""
        found = _joined(document, schema)
        for keyword in ("anyOf", "oneOf"):
            members = found.get(keyword)
            if isinstance(members, list):
                rest = {key: each for key, each in found.items() if key != keyword}
                return [
                    {**rest, **variant}
                    for member in members
                    for variant in self._variants(document, member)
                ]
        kinds = found.get("type")
        if isinstance(kinds, list):
            return [{**found, "type": kind} for kind in kinds]
        return [found]

    def _same_kind(self, old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
        yield from _values(old, new, side, where)
        yield from _format(old, new, side, where)
        yield from _limits(old, new, side, where)
        was, now = old.get("default"), new.get("default")
        if side == "input" and "default" in old and "default" in new and was != now:
            message = f"without it, it was {_json(was)}, now {_json(now)}"
            yield Change(where, "default-changed", message, breaking=True)
        yield from self._properties(old, new, side, where)
        if "items" in old or "items" in new:
            yield from self.compare(
                old.get("items", {}), new.get("items", {}), side, f"{where}/items"
            )
        items = zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)
        for index, (was, now) in enumerate(items):
            yield from self.compare(was, now, side, f"{where}/{index}")

    def _properties(self, old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
        was, now = old.get("properties", {}), new.get("properties", {})
        needed_before, needed = set(old.get("required", ())), set(new.get("required", ()))
        for name in was.keys() - now.keys():
            yield Change(f"{where}/{name}", "field-removed", "the field is gone", breaking=True)
        for name in now.keys() - was.keys():
            yield _added(f"{where}/{name}", side, needed=name in needed)
        for name in was.keys() & now.keys():
            here = f"{where}/{name}"
            if name in needed - needed_before:
                message = "the field is required now" if side == "input" else "it is always there"
                yield Change(here, "field-required", message, breaking=side == "input")
            elif name in needed_before - needed:
                message = "the field may be left out" if side == "input" else "it may be missing"
                yield Change(here, "field-optional", message, breaking=side == "output")
            yield from self.compare(was[name], now[name], side, here)
        yield from self._others(old, new, side, where)

    def _others(self, old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
        """Compare what is allowed beside the fields that are named."""
        was, now = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if was is not False and now is False and side == "input":
            message = "fields that are not named are refused now"
            yield Change(where, "other-fields-refused", message, breaking=True)
        elif isinstance(was, dict) and isinstance(now, dict):
            yield from self.compare(was, now, side, f"{where}/*")


def _joined(document: Document, schema: Any) -> JSON:
    """Return a schema with what ``allOf`` adds in it."""
    found = dict(document.follow(schema))
    for part in found.pop("allOf", ()):
        inner = _joined(document, part)
        properties = dict(found.get("properties", {}))
        for name, each in inner.get("properties", {}).items():
            known = properties.get(name)
            properties[name] = {**known, **each} if isinstance(known, dict) else each
        required = [*found.get("required", ()), *inner.get("required", ())]
        found = {**found, **inner}
        if properties:
            found["properties"] = properties
        if required:
            found["required"] = required
    return found


def _match(variant: JSON, others: list[JSON]) -> JSON | None:
    """Return the form among ``others`` that is meant by the same, the likeliest first."""
    mark = _mark(variant)
    for other in others:
        if _mark(other) == mark and other.get("type") == variant.get("type"):
            return other
    kind = variant.get("type")
    for other in others:
        is_wider = kind == "integer" and other.get("type") == "number"
        if other == _ANYTHING or (is_wider and mark is None):
            return other
        if other.get("type") == kind and (mark is None or _mark(other) is None):
            return other
    return None


def _mark(schema: JSON) -> str | None:
    """Return what tells one object of a union from another: the values of its constants."""
    properties = schema.get("properties", {})
    marks = {key: each["const"] for key, each in properties.items() if "const" in each}
    return _json(marks) if marks else None


def _values(old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
    was, now = _choices(old), _choices(new)
    if was == now:
        return
    if was is None or now is None:
        narrowed = now is not None
        message = f"only {', '.join(now)}" if now is not None else "any value, not a few only"
        code = "values-narrowed" if narrowed else "values-widened"
        yield Change(where, code, message, breaking=narrowed == (side == "input"))
        return
    if gone := sorted(was - now):
        message = f"{', '.join(gone)} is not among the values any more"
        yield Change(where, "values-removed", message, breaking=side == "input")
    if more := sorted(now - was):
        message = f"{', '.join(more)} is among the values now"
        yield Change(where, "values-added", message, breaking=side == "output")


def _choices(schema: JSON) -> set[str] | None:
    if "const" in schema:
        return {_json(schema["const"])}
    values = schema.get("enum")
    return {_json(each) for each in values} if isinstance(values, list) else None


def _format(old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
    for keyword in ("format", "pattern", "contentEncoding", "multipleOf"):
        was, now = old.get(keyword), new.get(keyword)
        if was == now:
            continue
        is_harmless = now is None if side == "input" else was is None or keyword == "pattern"
        message = f"{keyword} was {_text(was)}, now {_text(now)}"
        yield Change(where, f"{keyword.lower()}-changed", message, breaking=not is_harmless)


def _limits(old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
    for keyword in (*_AT_LEAST, *_AT_MOST):
        was, now = old.get(keyword), new.get(keyword)
        if was == now:
            continue
        narrowed = was is None or (
            now is not None and (now > was if keyword in _AT_LEAST else now < was)
        )
        code = "limit-narrowed" if narrowed else "limit-widened"
        message = f"{keyword} was {_text(was)}, now {_text(now)}"
        yield Change(where, code, message, breaking=narrowed and side == "input")


def _added(where: str, side: Side, *, needed: bool) -> Change:
    if side == "input" and needed:
        return Change(where, "field-required", "a new field is required", breaking=True)
    return Change(where, "field-added", "a new field", breaking=False)


def _kind(schema: JSON) -> str:
    kind = schema.get("type")
    if kind is None:
        return "anything" if not schema.keys() & {"const", "enum"} else "a value"
    mark = _mark(schema)
    return f"{kind}" + (f" {mark}" if mark else "")


def _text(value: object) -> str:
    return "not said" if value is None else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _identity(schema: Any) -> str:
    return msgspec.json.encode(schema, order="deterministic").decode()


def _refers(schema: Any) -> bool:
    """Tell whether there is a reference in a schema: then what it leads to may differ."""
    return '"$ref"' in _identity(schema)
