"""Handler arguments out of requests."""

from oxidite.extract.base import Context, Description, Extractor, Marker, Parameter
from oxidite.extract.body import Body, Form, InvalidBodyError, Json
from oxidite.extract.depends import Depends, Scope
from oxidite.extract.files import File
from oxidite.extract.lines import MaxLine
from oxidite.extract.params import Cookie, Header, Name, Path, Query
from oxidite.extract.plan import Plan, Step
from oxidite.extract.state import State
from oxidite.extract.streams import (
    Events,
    LastEventID,
    Lines,
    Rows,
    Streamed,
    StreamFormat,
    streamed,
)

__all__ = [
    "Body",
    "Context",
    "Cookie",
    "Depends",
    "Description",
    "Events",
    "Extractor",
    "File",
    "Form",
    "Header",
    "InvalidBodyError",
    "Json",
    "LastEventID",
    "Lines",
    "Marker",
    "MaxLine",
    "Name",
    "Parameter",
    "Path",
    "Plan",
    "Query",
    "Rows",
    "Scope",
    "State",
    "Step",
    "StreamFormat",
    "Streamed",
    "streamed",
]
