"""From a route to its operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from oxidite.http.declared import SecurityScheme, declared_by
from oxidite.http.types import Middleware
from oxidite.openapi.answers import answers_of
from oxidite.openapi.arguments import Arguments, descriptions_of
from oxidite.openapi.base import JSON, OpenAPIError
from oxidite.openapi.components import Components
from oxidite.openapi.docstrings import Docstring, title_of
from oxidite.openapi.names import OperationIds, host_of
from oxidite.openapi.problems import Problems, declared_errors, errors_of
from oxidite.openapi.schemas import Schemas
from oxidite.routing.documented import Documented
from oxidite.routing.route import Route

__all__ = ["Operations"]


class Operations:
    """Makes operations, and collects what they share."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._ids = OperationIds()
        self.components: Components = schemas.components
        self.problems: Problems = Problems(schemas.components)
        self.security_schemes: dict[str, JSON] = {}

    def of(
        self,
        route: Route,
        method: str,
        around: Sequence[Middleware],
        *,
        is_webhook: bool = False,
    ) -> JSON:
        """Return the operation of one method of a route; ``around`` is the application's middleware.

        A webhook goes the other way: what its errors are, is up to those who get it.

        Raises:
            OpenAPIError: what was said of the route cannot be.
        """
        said: Documented = route.definition.options.get("openapi", {})
        if unknown := sorted(said.keys() - Documented.__annotations__.keys()):
            known = ", ".join(Documented.__annotations__)
            raise OpenAPIError(f"{route.where}: openapi has no {unknown[0]!r}. Known: {known}.")
        docs = Docstring.of(route.handler)
        middleware = (*around, *route.middleware)
        arguments = Arguments.of(route, self._schemas, docs, "output" if is_webhook else "input")
        operation: JSON = {
            "operationId": said.get("id") or self._ids.take(route, method),
            "summary": said.get("summary") or docs.summary or title_of(route.handler.__name__),
        }
        if description := said.get("description", docs.description):
            operation["description"] = description
        if route.tags:
            operation["tags"] = list(dict.fromkeys(route.tags))
        if said.get("deprecated") or (route.version is not None and route.version.is_deprecated):
            operation["deprecated"] = True
        if url := said.get("external_docs"):
            operation["externalDocs"] = {"url": url}
        parameters = self._without_host(route, arguments.parameters)
        if parameters:
            operation["parameters"] = parameters
        if arguments.body is not None:
            operation["requestBody"] = arguments.body
        errors = (
            list(declared_errors(route, middleware))
            if is_webhook
            else errors_of(route, arguments, middleware)
        )
        answers = answers_of(route, self._schemas)
        problems = self.problems.responses_of(errors)
        operation["responses"] = dict(sorted({**problems, **answers}.items()))
        self._add_security(operation, route, middleware)
        self._add_host(operation, route)
        operation.update((key, value) for key, value in route.meta.items() if key.startswith("x-"))
        _merge(operation, said.get("extra", {}))
        return operation

    def _without_host(self, route: Route, parameters: list[JSON]) -> list[JSON]:
        host = host_of(route)
        return [p for p in parameters if p["in"] != "path" or not host or p["name"] not in host[1]]

    def _add_host(self, operation: JSON, route: Route) -> None:
        host = host_of(route)
        if host is None:
            return
        name, variables = host
        server: JSON = {"url": f"//{name}"}
        if variables:
            server["variables"] = {each: {"default": each} for each in variables}
        operation["servers"] = [server]

    def _add_security(
        self, operation: JSON, route: Route, middleware: Iterable[Middleware]
    ) -> None:
        needed = [declared_by(route.handler).security]
        needed += [each.declared.security for each in descriptions_of(route)]
        needed += [declared_by(each).security for each in middleware]
        needed = [each for i, each in enumerate(needed) if each and each not in needed[:i]]
        if not needed:
            return
        # One of each: every combination is a way in.
        ways = [self._requirement(combination) for combination in product(*needed)]
        operation["security"] = [way for i, way in enumerate(ways) if way not in ways[:i]]

    def _requirement(self, schemes: Iterable[SecurityScheme]) -> JSON:
        requirement: JSON = {}
        for scheme in schemes:
            definition = dict(scheme.definition)
            known = self.security_schemes.setdefault(scheme.name, definition)
            if known != definition:
                raise OpenAPIError(
                    f"There are two security schemes {scheme.name!r}: {known} and {definition}. "
                    "Give one of them another name."
                )
            scopes = requirement.setdefault(scheme.name, [])
            scopes += [scope for scope in scheme.scopes if scope not in scopes]
        return requirement


def _merge(target: JSON, extra: Mapping[str, object]) -> None:
    """Put ``extra`` into ``target``, objects into objects, everything else instead of what was there."""
    for key, value in extra.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
