"""The body of the request as an argument: JSON, MessagePack or a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for
from oxidite.errors import BadRequestError, UnsupportedMediaTypeError, ValidationError
from oxidite.extract.base import Description, Extractor, Parameter, default_of, refuse_calls
from oxidite.extract.forms import form_reader
from oxidite.extract.params import field_errors, is_text
from oxidite.http.form import FormData
from oxidite.http.limits import FileRule
from oxidite.http.request import FORM_TYPES, InvalidJSONError, Request

__all__ = ["Body", "Form", "InvalidBodyError", "Json"]

T = TypeVar("T")

JSON_TYPES = ("application/json",)
MSGPACK_TYPES = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")


class InvalidBodyError(BadRequestError):
    """The request body is malformed."""

    code = "invalid_body"


def _is_json(media_type: str | None) -> bool:
    return media_type is not None and (
        media_type == "application/json"
        or (media_type.startswith("application/") and media_type.endswith("+json"))
    )


class _Decoder:
    """Decodes a body of one of the accepted media types."""

    def __init__(self, parameter: Parameter, accepted: tuple[str, ...]) -> None:
        self._parameter = parameter
        self._accepted = accepted
        self._default = default_of(parameter)
        try:
            self._codec: Codec[object] = codec_for(parameter.type, finite=True)
        except TypeError as exc:
            raise parameter.refuse(f"cannot be decoded: {exc}.") from None
        self._json = JSON_TYPES[0] in accepted
        self._form = form_reader(parameter.type) if FORM_TYPES[0] in accepted else None
        self._msgpack = MSGPACK_TYPES[0] in accepted
        self.file_rules: Mapping[str, FileRule] = self._form.file_rules if self._form else {}

    async def extract(self, request: Request) -> object:
        media_type = request.content_type
        try:
            # PERF: one comparison for almost every body; benchmark `items`.
            if self._json and (media_type == "application/json" or _is_json(media_type)):
                return self._codec.decode_json(await request.body())
            if self._form and media_type in FORM_TYPES:
                return self._form.read(await request.form())
            if self._msgpack and media_type in MSGPACK_TYPES:
                return self._codec.decode_msgpack(await request.body())
            return await self._without_type(request, media_type)
        except MismatchError as exc:
            raise ValidationError(field_errors(exc, "body")) from None
        except DecodeError as exc:
            if _is_json(media_type):
                message = f"The request body is not valid JSON. {exc.message}"
                raise InvalidJSONError(message) from None
            raise InvalidBodyError(f"The request body is malformed. {exc.message}") from None

    async def _without_type(self, request: Request, media_type: str | None) -> object:
        if not self._parameter.required and media_type is None and not await request.body():
            return self._default()
        raise UnsupportedMediaTypeError(media_type, self._accepted)

    def describe(self) -> Description:
        p = self._parameter
        return Description("body", p.type, required=p.required, media_types=self._accepted)


class _RawForm:
    """``form: Form[FormData]``: the fields and files as they came."""

    async def extract(self, request: Request) -> FormData:
        if request.content_type not in FORM_TYPES:
            raise UnsupportedMediaTypeError(request.content_type, FORM_TYPES)
        return await request.form()

    def describe(self) -> Description:
        return Description("body", FormData, media_types=FORM_TYPES)


class _BodyMarker:
    def __init__(self, *accepted: str) -> None:
        self.accepted = accepted

    def bind(self, parameter: Parameter) -> Extractor[object]:
        if not parameter.context.has_body:
            raise parameter.refuse(
                "reads the request body, but requests of this method have none. "
                "Use post, put or patch, or Query[...] for query parameters."
            )
        if parameter.type is FormData:
            return _RawForm()
        if FORM_TYPES[0] in self.accepted and is_text(parameter.type):
            raise parameter.refuse("is one value; a form is a Struct, a dataclass or FormData.")
        return _Decoder(parameter, self.accepted)


Json = Annotated[T, _BodyMarker(*JSON_TYPES)]
"""The body as JSON. Not needed on post, put and patch for a Struct, dataclass, model or dict, nor for
a list of such; a list of numbers or texts without it is a repeated query parameter."""

Form = Annotated[T, _BodyMarker(*FORM_TYPES)]
"""The body as a form, URL-encoded or multipart; files are ``Upload`` fields."""

Body = Annotated[T, _BodyMarker(*JSON_TYPES, *FORM_TYPES, *MSGPACK_TYPES)]
"""The body as JSON, a form or MessagePack, whichever the client sends."""

refuse_calls(Json=Json, Form=Form, Body=Body)
