"""A route: one handler, how to call it, and what surrounds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from oxidite.errors import (
    RouteError,
)
from oxidite.extract.base import location
from oxidite.extract.depends import dependencies_of
from oxidite.extract.files import takes_files
from oxidite.extract.plan import Plan
from oxidite.extract.streams import streamed
from oxidite.http.limits import FileRule, FormLimits
from oxidite.http.types import Handler, Middleware
from oxidite.http.version import Version
from oxidite.http.websocket import WEBSOCKET, WebSocketOptions
from oxidite.routing.definition import Definition
from oxidite.routing.endpoint import (
    SAFE_METHODS,
    ending_scope,
    endpoint_of,
    may_stream,
    offers_of,
    with_etag,
)
from oxidite.routing.layers import RenderError, fold
from oxidite.routing.pattern import Pattern
from oxidite.routing.values import finish_of
from oxidite.routing.versioning import Versioning

__all__ = ["Route"]


@dataclass(eq=False)
class Route:
    """A route of an application, under its whole path."""

    pattern: Pattern
    host: Pattern | None
    definition: Definition
    plan: Plan
    name: str
    tags: tuple[str, ...]
    middleware: tuple[Middleware, ...]
    version: Version | None = None
    """The version of the API that it belongs to; ``None`` for all of them."""
    versioning: Versioning | None = None
    """What lists that version."""
    version_at: str | None = None
    """The path before the version; ``None`` if that is not in the path."""
    path: str = field(init=False)
    """The pattern as text."""
    max_body: int | None = field(init=False)
    """Bytes of a request body accepted here, where that differs from the application's."""
    form_limits: FormLimits = field(init=False)
    """What a form may have."""
    websocket: WebSocketOptions | None = field(init=False, repr=False)
    """What holds for its WebSockets; ``None`` on every other route."""
    files: Mapping[str, FileRule] = field(init=False, repr=False)
    """The rules for the files of a form, by the names of their fields."""
    cancel: bool = field(init=False)
    """Whether the handler is cancelled when the client goes away."""
    handle: Handler = field(init=False, repr=False)
    """Answers a request of this route: its middleware around its handler, folded once."""

    def __post_init__(self) -> None:
        options = self.definition.options
        self.path = str(self.pattern)
        self.max_body = options.get("max_body")
        self.form_limits = options.get("form_limits", FormLimits())
        self.websocket = self.definition.websocket
        self.files = _file_rules(self.plan)
        self.cancel = options.get("cancel", set(self.methods) <= {*SAFE_METHODS, WEBSOCKET})

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods it was registered for; HEAD and OPTIONS come by themselves."""
        return self.definition.methods

    @property
    def selected(self) -> bool:
        """Whether something beside the path has to ask for its version."""
        return self.version is not None and self.version_at is None

    @property
    def handler(self) -> Callable[..., object]:
        """The function that answers."""
        return self.definition.handler

    @property
    def where(self) -> str:
        """File, line and name of the handler."""
        return location(self.handler)

    @property
    def is_websocket(self) -> bool:
        """Whether it answers the handshakes of WebSockets, and nothing else."""
        return self.methods == (WEBSOCKET,)

    @property
    def meta(self) -> Mapping[str, object]:
        """Whatever the application said of the route."""
        return self.definition.options.get("meta", {})

    @property
    def complete(self) -> bool:
        """Whether every response of the handler is known to be complete bytes."""
        if self.is_websocket:
            return False
        declared = self.definition.options.get("complete")
        if declared is not None:
            return declared
        return streamed(self.plan.returns) is None and not may_stream(self.plan.returns)

    def inherit(
        self, *, max_body: int, form_limits: FormLimits, websocket: WebSocketOptions
    ) -> None:
        """Take from the application what the route does not say: it has room for its files."""
        options = self.definition.options
        self.form_limits = options.get("form_limits", form_limits)
        if "max_body" not in options:
            of_files = _size_of(self.files, self.form_limits)
            self.max_body = None if of_files is None else max_body + of_files
        if self.definition.websocket is not None:
            self.websocket = {**websocket, **self.definition.websocket}

    def fold(self, render: RenderError) -> None:
        """Make ``handle``."""
        if self.websocket is None:
            handler = self._fold_http(render)
        else:
            # Imported only now: who has no WebSocket does not pay for it.
            from oxidite.websocket.endpoint import websocket_endpoint

            handler = websocket_endpoint(self.plan, self.websocket, render)
        handler = fold(handler, self.middleware, render)
        if dependencies_of(self.plan):
            handler = ending_scope(handler, render)
        self.handle = handler

    def _fold_http(self, render: RenderError) -> Handler:
        options = self.definition.options
        status = options.get("status", 200)
        offers = offers_of(options.get("produces"), self.where)
        if offers and streamed(self.plan.returns):
            raise RouteError(
                f"{self.where}: a stream has one form, which its annotation names. Leave produces= out, "
                "or write a route for each form."
            )
        etag = options.get("etag")
        finish = finish_of(self.plan.returns, self.where, with_version=etag == "version")
        handler = endpoint_of(self.plan, status, offers, finish, render)
        return handler if etag is None else with_etag(handler, render, etag)


def _file_rules(plan: Plan) -> Mapping[str, FileRule]:
    plans = (*(each.plan for each in dependencies_of(plan)), plan)
    extractors = [step.extractor for each in plans for step in each.steps]
    return {
        name: rule
        for extractor in extractors
        if takes_files(extractor)
        for name, rule in extractor.file_rules.items()
    }


def _size_of(files: Mapping[str, FileRule], limits: FormLimits) -> int | None:
    """Return the bytes that all files may have together; ``None`` if that is not said."""
    size = 0
    for rule in files.values():
        if rule.max_size is None:
            return None
        size += rule.max_size * (limits.max_files if rule.max_files is None else rule.max_files)
    return size or None
