"""Files of a form as arguments, and what they may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Protocol, TypeGuard, Union, get_args, get_origin

from oxidite.encoding.explain import pointer_of
from oxidite.errors import FieldError, UnsupportedMediaTypeError, ValidationError
from oxidite.extract.base import Description, Extractor, Parameter, default_of
from oxidite.extract.params import Name
from oxidite.http.form import FormData
from oxidite.http.limits import FileRule
from oxidite.http.request import FORM_TYPES, Request
from oxidite.http.spool import Upload

__all__ = ["File", "TakesFiles", "check_files", "file_rule", "takes_files"]

MULTIPART = FORM_TYPES[1:]

_MEDIA_RANGE = re.compile(r"[a-z0-9.+-]+/(?:[a-z0-9.+-]+|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class File(FileRule):
    """Says of an ``Upload`` what it may be, as an argument or as a field of a form.

    ``avatar: Annotated[Upload, File(max_size=2_000_000, types=["image/png"])]``

    ``max_size`` in bytes is for each file, ``max_files`` for a list of them. ``types`` are media types,
    or ranges such as ``image/*``; they are compared with the content. What goes over them is answered
    with 413 or 415 while it arrives, before it is kept.
    """

    types: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, value in (("max_size", self.max_size), ("max_files", self.max_files)):
            if value is not None and value < 0:
                raise ValueError(f"File({name}={value}): use a number that is not negative.")
        if isinstance(self.types, str):
            raise TypeError(f"File(types={self.types!r}) is one text. Write [{self.types!r}].")
        types = tuple(each.lower() for each in self.types)
        for each in types:
            if not _MEDIA_RANGE.fullmatch(each):
                raise ValueError(
                    f"File(types=[{each!r}]): a media type is such as 'image/png' or 'image/*'."
                )
        object.__setattr__(self, "types", types)

    def bind(self, parameter: Parameter) -> Extractor[object]:
        """Return what takes the files out of the form.

        Raises:
            RouteError: the parameter is no file, or requests have no body.
        """
        found = _find(parameter.type)
        if found is None:
            raise parameter.refuse("is said to be a file. Its type is Upload or list[Upload].")
        if not parameter.context.has_body:
            raise parameter.refuse(
                "is a file, but requests of this method have no body. Use post, put or patch."
            )
        file, many = found
        return _Files(parameter, self if file == _ANY else file, many=many)


_ANY = File()


class TakesFiles(Protocol):
    """An extractor that takes files out of a form."""

    @property
    def file_rules(self) -> Mapping[str, FileRule]:
        """The rule of each file, by the name of its field."""
        ...


def takes_files(extractor: object) -> TypeGuard[TakesFiles]:
    """Tell whether an extractor does; for the cost of ``isinstance`` see ``is_marker``."""
    return hasattr(extractor, "file_rules")


def file_rule(type_: object) -> FileRule | None:
    """Return what the files of a field of that type may be; ``None`` if it is no file."""
    found = _find(type_)
    if found is None:
        return None
    file, many = found
    return file if many else replace(file, max_files=1)


def _find(type_: object) -> tuple[File, bool] | None:
    """Return what is said of the files in a type, and whether they may be many."""
    if type_ is Upload:
        return _ANY, False
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        found = _find(arguments[0])
        said = [each for each in arguments[1:] if isinstance(each, File)]
        return (said[0], found[1]) if said and found else found
    if origin in (Union, UnionType):
        return next(filter(None, map(_find, arguments)), None)
    if origin in (list, tuple):
        found = _find(arguments[0])
        return found and (found[0], True)
    return None


def check_files(form: FormData, rules: Mapping[str, FileRule]) -> None:
    """Refuse files that do not keep their rules: those of a form that was read without them.

    Raises:
        FormLimitError: one is too large, or there are too many.
        UnsupportedFileError: one is of another type.
    """
    for name, rule in rules.items():
        uploads = [each for each in form.get_all(name) if isinstance(each, Upload)]
        rule.check_count(name, len(uploads))
        for index, upload in enumerate(uploads):
            pointer = pointer_of(name, *(() if rule.max_files == 1 else (index,)))
            rule.check_size(upload.filename, upload.size, pointer=pointer)
            rule.check_type(
                upload.filename,
                sniffed=upload.sniffed,
                claimed=upload.content_type,
                field=name,
                pointer=pointer,
            )


class _Files:
    """Takes the files of one name out of the form."""

    def __init__(self, parameter: Parameter, file: File, *, many: bool) -> None:
        self._parameter = parameter
        self._many = many
        self._default = default_of(parameter)
        names = [each.value for each in parameter.metadata if isinstance(each, Name)]
        self._name = names[0] if names else parameter.name
        self.file_rules: Mapping[str, FileRule] = {
            self._name: file if many else replace(file, max_files=1)
        }

    async def extract(self, request: Request) -> object:
        if request.content_type not in FORM_TYPES:
            return await self._without_form(request)
        form = await request.form()
        values = form.get_all(self._name)
        if not values:
            return self._absent()
        texts = [index for index, value in enumerate(values) if isinstance(value, str)]
        if texts:
            raise ValidationError(self._text_errors(texts))
        check_files(form, self.file_rules)
        if not self._many:
            return values[0]
        return tuple(values) if get_origin(self._parameter.type) is tuple else values

    async def _without_form(self, request: Request) -> object:
        media_type = request.content_type
        if not self._parameter.required and media_type is None and not await request.body():
            return self._default()
        raise UnsupportedMediaTypeError(media_type, MULTIPART)

    def _absent(self) -> object:
        if self._parameter.required:
            pointer = pointer_of(self._name)
            raise ValidationError(
                [FieldError("body", "This file is required.", pointer=pointer, code="missing")]
            )
        return self._default()

    def _text_errors(self, indices: Iterable[int]) -> list[FieldError]:
        pointers = [pointer_of(self._name, *((index,) if self._many else ())) for index in indices]
        message = "Expected a file, got text."
        return [FieldError("body", message, pointer=each, code="type") for each in pointers]

    def describe(self) -> Description:
        p = self._parameter
        return Description("body", p.type, self._name, p.required, media_types=MULTIPART)
