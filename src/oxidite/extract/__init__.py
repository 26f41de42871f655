"""Handler arguments out of requests."""

from oxidite.extract.base import Context, Description, Extractor, Marker, Parameter
from oxidite.extract.body import Body, Form, InvalidBodyError, Json
from oxidite.extract.depends import Depends, Scope
from oxidite.extract.files import File
from oxidite.extract.params import Cookie, Header, Name, Path, Query
from oxidite.extract.plan import Plan, Step
from oxidite.extract.state import State

__all__ = [
    "Body",
    "Context",
    "Cookie",
    "Depends",
    "Description",
    "Extractor",
    "File",
    "Form",
    "Header",
    "InvalidBodyError",
    "Json",
    "Marker",
    "Name",
    "Parameter",
    "Path",
    "Plan",
    "Query",
    "Scope",
    "State",
    "Step",
]
