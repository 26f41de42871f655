"""The application's resources, and the request itself, as arguments."""

from __future__ import annotations

from typing import Annotated, TypeVar

from oxidite.extract.base import Description, Extractor, Parameter, refuse_calls
from oxidite.extract.params import without_none
from oxidite.http.request import Request
from oxidite.http.version import Version

__all__ = ["RequestItself", "State", "VersionItself"]

T = TypeVar("T")


class RequestItself:
    """``request: Request``."""

    def extract(self, request: Request) -> Request:
        """Return the request."""
        return request

    def describe(self) -> Description:
        """Say that it is the request."""
        return Description("request", Request)


class VersionItself:
    """``version: Version``, or ``Version | None`` where a route may belong to none."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self._required = parameter.type is Version

    def extract(self, request: Request) -> Version | None:
        """Return the version that answers."""
        return request.version

    def check(self, version: Version | None) -> None:
        """Refuse a route of no version whose handler needs one.

        Raises:
            RouteError: that is so.
        """
        if version is None and self._required:
            raise self._parameter.refuse(
                "is a Version, but this route belongs to none. Say versions=..., or take Version | None."
            )

    def describe(self) -> Description:
        """Say that it is of the request."""
        return Description("request", Version, required=self._required)


class _Resource:
    def __init__(self, parameter: Parameter, type_: type[object]) -> None:
        self._type = type_
        # `Cache | None` needs no default to be optional: there is nothing else that None could mean.
        self._required = parameter.required and parameter.type is type_
        self._default = None if parameter.required else parameter.default

    def extract(self, request: Request) -> object:
        if not self._required and not request.resources.offers(self._type):
            return self._default
        return request.resources.get(self._type)

    def describe(self) -> Description:
        return Description("resource", self._type, required=self._required)


class _StateMarker:
    def bind(self, parameter: Parameter) -> Extractor[object]:
        type_ = without_none(parameter.type)
        if not isinstance(type_, type):
            raise parameter.refuse(f"is not a class: {parameter.type!r} cannot be a resource.")
        return _Resource(parameter, type_)


State = Annotated[T, _StateMarker()]
"""A resource of the application, found by its type. Not needed for a class that is no data."""

refuse_calls(State=State)
