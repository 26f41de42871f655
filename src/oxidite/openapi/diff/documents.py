"""Compares two documents: paths, operations, and what goes in and out of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oxidite.openapi.base import JSON
from oxidite.openapi.diff.base import Change, Document, Side
from oxidite.openapi.diff.schemas import SchemaDiff
from oxidite.openapi.names import shape_of

__all__ = ["compare"]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


def compare(
    old: JSON, new: JSON, *, old_name: str = "the old document", new_name: str = "the new document"
) -> list[Change]:
    """Return every change from one document to the other, in the order of where they are.

    Raises:
        OpenAPIError: one of them is no OpenAPI 3 document, or refers to what is not in it.
    """
    diff = _Diff(Document(old, old_name), Document(new, new_name))
    found = [*diff.paths(), *diff.webhooks()]
    return sorted(set(found), key=lambda each: (not each.breaking, each))


class _Diff:
    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new

    def paths(self) -> Iterator[Change]:
        """Compare the operations of all paths; what a parameter of a path is called is no matter."""
        was = {
            (shape_of(path), method): (path, item, operation)
            for path, item, method, operation in _operations(self._old, "paths")
        }
        now = {
            (shape_of(path), method): (path, item, operation)
            for path, item, method, operation in _operations(self._new, "paths")
        }
        for key, (path, item, operation) in was.items():
            where = f"{key[1].upper()} {path}"
            if key not in now:
                yield Change(where, "operation-removed", "the operation is gone", breaking=True)
            else:
                other_path, other_item, other = now[key]
                yield from self._operation(operation, other, where, "input")
                yield from self._parameters(
                    _parameters(self._old, path, item, operation),
                    _parameters(self._new, other_path, other_item, other),
                    where,
                )
                yield from self._security(operation, other, where)
        for key in now.keys() - was.keys():
            where = f"{key[1].upper()} {now[key][0]}"
            yield Change(where, "operation-added", "a new operation", breaking=False)

    def webhooks(self) -> Iterator[Change]:
        """Compare the webhooks: what is sent there, clients receive."""
        was = {(n, m): op for n, _, m, op in _operations(self._old, "webhooks")}
        now = {(n, m): op for n, _, m, op in _operations(self._new, "webhooks")}
        for key, operation in was.items():
            where = f"webhook {key[0]}"
            if key in now:
                yield from self._operation(operation, now[key], where, "output")
            else:
                yield Change(where, "webhook-removed", "it is not sent any more", breaking=True)
        for name, _ in now.keys() - was.keys():
            yield Change(f"webhook {name}", "webhook-added", "a new webhook", breaking=False)

    def _operation(self, old: JSON, new: JSON, where: str, sent: Side) -> Iterator[Change]:
        """Compare two operations; ``sent`` is which side their request body is on."""
        was, now = old.get("operationId"), new.get("operationId")
        if was != now:
            message = f"the operation was called {was}, now {now}: generated clients call it so"
            yield Change(where, "operation-id-changed", message, breaking=True)
        if new.get("deprecated") and not old.get("deprecated"):
            yield Change(where, "deprecated", "the operation is deprecated", breaking=False)
        yield from self._body(old.get("requestBody"), new.get("requestBody"), where, sent)
        yield from self._responses(
            old.get("responses", {}),
            new.get("responses", {}),
            where,
            "output" if sent == "input" else "input",
        )

    def _parameters(
        self, old: dict[Any, JSON], new: dict[Any, JSON], where: str
    ) -> Iterator[Change]:
        for key, parameter in old.items():
            here = f"{where}: {parameter['in']} {parameter['name']}"
            other = new.get(key)
            if other is None:
                yield Change(here, "parameter-removed", "the parameter is gone", breaking=True)
                continue
            was, now = bool(parameter.get("required")), bool(other.get("required"))
            if now and not was:
                message = "the parameter is required now"
                yield Change(here, "parameter-required", message, breaking=True)
            elif was and not now:
                message = "the parameter may be left out"
                yield Change(here, "parameter-optional", message, breaking=False)
            yield from self._schema(parameter.get("schema"), other.get("schema"), "input", here)
        for key in new.keys() - old.keys():
            parameter = new[key]
            here = f"{where}: {parameter['in']} {parameter['name']}"
            if parameter.get("required"):
                message = "a new parameter is required"
                yield Change(here, "parameter-required", message, breaking=True)
            else:
                yield Change(here, "parameter-added", "a new parameter", breaking=False)

    def _body(self, old: Any, new: Any, where: str, side: Side) -> Iterator[Change]:
        was, now = self._old.follow(old), self._new.follow(new)
        here = f"{where}: body"
        if was and not now:
            yield Change(here, "body-removed", "there is no body any more", breaking=True)
            return
        if now.get("required") and not was.get("required") and side == "input":
            message = "the body is required now" if was else "a body is required"
            yield Change(here, "body-required", message, breaking=True)
        elif now and not was:
            yield Change(here, "body-added", "there may be a body", breaking=False)
        if was:
            yield from self._content(was, now, side, here)

    def _content(self, old: JSON, new: JSON, side: Side, where: str) -> Iterator[Change]:
        was, now = old.get("content", {}), new.get("content", {})
        for media_type in was.keys() - now.keys():
            message = f"{media_type} is gone"
            yield Change(where, "media-type-removed", message, breaking=True)
        for media_type in now.keys() - was.keys():
            message = f"{media_type} is there too"
            yield Change(where, "media-type-added", message, breaking=False)
        for media_type in was.keys() & now.keys():
            before, after = was[media_type], now[media_type]
            for keyword in ("schema", "itemSchema", "x-item-schema"):
                if keyword in before or keyword in after:
                    here = f"{where} {media_type} "
                    yield from self._schema(before.get(keyword), after.get(keyword), side, here)

    def _responses(self, old: JSON, new: JSON, where: str, side: Side) -> Iterator[Change]:
        for status, response in old.items():
            here = f"{where}: {status}"
            if status in new:
                was, now = self._old.follow(response), self._new.follow(new[status])
                yield from self._content(was, now, side, here)
                gone = was.get("headers", {}).keys() - now.get("headers", {}).keys()
                for name in sorted(gone):
                    message = f"the header field {name} is gone"
                    yield Change(here, "header-removed", message, breaking=True)
            else:
                is_success = status[:1] in "23"
                yield Change(here, "response-removed", "the answer is gone", breaking=is_success)
        for status in new.keys() - old.keys():
            yield Change(f"{where}: {status}", "response-added", "a new answer", breaking=False)

    def _schema(self, old: Any, new: Any, side: Side, where: str) -> Iterator[Change]:
        yield from SchemaDiff(self._old, self._new).compare(old or {}, new or {}, side, where)

    def _security(self, old: JSON, new: JSON, where: str) -> Iterator[Change]:
        """Every way in that there was must still be one."""
        was = old.get("security", self._old.content.get("security")) or [{}]
        now = new.get("security", self._new.content.get("security")) or [{}]
        for way in was:
            if not any(_suffices(way, needed) for needed in now):
                shown = " and ".join(sorted(way)) or "nothing"
                needs = ", or ".join(" and ".join(map(_shown, each.items())) for each in now)
                message = f"{shown} was enough, now it takes {needs}"
                yield Change(where, "security-changed", message, breaking=True)


def _shown(scheme: tuple[str, list[str]]) -> str:
    name, scopes = scheme
    return f"{name} ({', '.join(scopes)})" if scopes else name


def _suffices(way: JSON, needed: JSON) -> bool:
    return all(name in way and set(scopes) <= set(way[name]) for name, scopes in needed.items())


def _operations(document: Document, section: str) -> Iterator[tuple[str, JSON, str, JSON]]:
    for path, found in document.content.get(section, {}).items():
        item = document.follow(found)
        more = item.get("additionalOperations", {})
        for method, operation in (*item.items(), *more.items()):
            if method in _METHODS or method in more:
                yield path, item, method, operation


def _parameters(document: Document, path: str, item: JSON, operation: JSON) -> dict[Any, JSON]:
    """Return the parameters; those of the path by where they stand, the others by name."""
    found: dict[Any, JSON] = {}
    for each in (*item.get("parameters", ()), *operation.get("parameters", ())):
        parameter = document.follow(each)
        name = parameter["name"]
        if parameter["in"] == "path":
            found["path", path.partition(f"{{{name}}}")[0].count("{")] = parameter
        else:
            name = name.lower() if parameter["in"] == "header" else name
            found[parameter["in"], name] = parameter
    return found
