"""Streams in a signature: what a handler yields, what it reads line by line, where it goes on.

``streamed(route.plan.returns)`` has the type of one item and the media type: for the route that
calls the handler, and for documents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, ClassVar, TypeVar, Union, get_args, get_origin

from oxidite.encoding import codec_for
from oxidite.extract.base import Description, Extractor, Parameter
from oxidite.extract.lines import BodyLines
from oxidite.extract.params import is_scalar, without_none
from oxidite.http.request import Request
from oxidite.http.response import CSV, EVENTS, LINES, StreamingResponse

__all__ = ["Events", "LastEventID", "Lines", "Rows", "StreamFormat", "Streamed", "streamed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a return annotation says of a stream: the type of one item, and how items are sent.

    ``format`` makes the response of what the handler yields; it is ``None`` where the handler returns
    the response itself, as with ``-> EventStream[Tick]``.
    """

    item: object
    media_type: str
    format: StreamFormat | None = None


def streamed(returns: object) -> Streamed | None:
    """Return what a return annotation says of a stream; ``None`` if it is not of one."""
    origin = get_origin(returns)
    if origin in (Union, UnionType):
        return next(filter(None, map(streamed, get_args(returns))), None)
    if origin is Annotated:
        type_, *metadata = get_args(returns)
        for extra in metadata:
            # `Annotated[Iterator[T], Events]`: the alias stands for the marker in it.
            marker = get_args(extra)[-1] if get_origin(extra) is Annotated else extra
            if isinstance(marker, StreamFormat):
                item = (*get_args(type_), object)[0]
                return Streamed(_data(item), marker.media_type, marker)
        return streamed(type_)
    type_ = origin or returns
    if isinstance(type_, type) and issubclass(type_, StreamingResponse) and type_.media_type:
        return Streamed(_data((*get_args(returns), object)[0]), type_.media_type)
    return None


def _data(item: object) -> object:
    """``Event[Tick]`` → ``Tick``, in unions too."""
    from oxidite.http.streams.events import Event

    origin = get_origin(item)
    if origin in (Union, UnionType):
        return Union[tuple(map(_data, get_args(item)))]  # noqa: UP007 - made at run time
    if item is Event:
        return object
    return get_args(item)[0] if origin is Event else item


class StreamFormat(ABC):
    """The marker in ``Events``, ``Lines`` and ``Rows``: makes the response of what a handler yields.

    ``waits`` says that the response begins with the first item. Before it, a failure still has an
    answer of its own. Events are not waited for: the client is to know that it is connected.
    """

    media_type: ClassVar[str]
    waits: ClassVar[bool] = True

    @abstractmethod
    def respond(self, items: AsyncIterable[object], item: object) -> StreamingResponse:
        """Make the response of ``items``, which are of the type ``item``."""

    def problem(self, item: object) -> str:
        """Say why items of that type cannot be sent so; nothing if they can."""
        return ""

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Make the extractor of a parameter that is marked so."""
        raise parameter.refuse(
            "is marked with what a handler returns. Lines[...] is what it can read."
        )


class _EventsFormat(StreamFormat):
    media_type = EVENTS
    waits = False

    def respond(self, items: AsyncIterable[object], item: object) -> StreamingResponse:
        from oxidite.http.streams.eventstream import EventStream

        return EventStream(items)


class _LinesFormat(StreamFormat):
    media_type = LINES

    def respond(self, items: AsyncIterable[object], item: object) -> StreamingResponse:
        from oxidite.http.streams.lines import JSONLines

        return JSONLines(items)

    def bind(self, parameter: Parameter) -> Extractor[object]:
        if not parameter.context.has_body:
            raise parameter.refuse(
                "reads the request body, but requests of this method have none. Use post, put or patch."
            )
        if get_origin(parameter.type) is not AsyncIterator:
            raise parameter.refuse(
                "is read while it arrives: write Lines[...] and nothing around it."
            )
        return BodyLines(parameter, get_args(parameter.type)[0])


class _RowsFormat(StreamFormat):
    media_type = CSV

    def respond(self, items: AsyncIterable[object], item: object) -> StreamingResponse:
        from oxidite.http.streams.rows import CSVStream

        return CSVStream(items, columns=_columns(item))

    def problem(self, item: object) -> str:
        if is_scalar(item):
            return "a row of CSV is a Struct, a dataclass, a model or a mapping"
        return ""


def _columns(item: object) -> list[str] | None:
    try:
        fields = codec_for(item).fields()
    except TypeError:
        return None
    return None if fields is None else [field.key for field in fields]


Events = Annotated[AsyncIterator[T], _EventsFormat()]
"""What a handler yields, sent as server-sent events: the items themselves, or an ``Event`` each."""

Lines = Annotated[AsyncIterator[T], _LinesFormat()]
"""What a handler yields, sent as JSON Lines; as a parameter, those of the body, read as they arrive."""

Rows = Annotated[AsyncIterator[T], _RowsFormat()]
"""What a handler yields, sent as CSV with a header row."""


class _LastEventID:
    """The id of the last event that a client saw, by which it asks for those after it."""

    def bind(self, parameter: Parameter) -> Extractor[object]:
        if without_none(parameter.type) is not str:
            raise parameter.refuse("is the id of an event, which is text: write LastEventID alone.")
        return self

    def extract(self, request: Request) -> str | None:
        value = request.headers.get("last-event-id")
        # Clients send it in UTF-8; a header field comes as Latin-1.
        return value and value.encode("latin-1").decode("utf-8", "replace")

    def describe(self) -> Description:
        return Description("header", str, "last-event-id", required=False)


LastEventID = Annotated[str | None, _LastEventID()]
"""Where a client that reconnects to a stream of events wants to go on; ``None`` the first time."""
