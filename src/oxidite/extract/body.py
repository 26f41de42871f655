"""The body of the request as an argument: JSON, MessagePack or a form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, TypeVar

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for
from oxidite.encoding.explain import pointer_of
from oxidite.errors import BadRequestError, FieldError, UnsupportedMediaTypeError, ValidationError
from oxidite.extract.base import Description, Extractor, Parameter, default_of, refuse_calls
from oxidite.extract.files import check_files, file_rule
from oxidite.extract.params import REPEATED, field_errors, is_collection, is_text
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
            self._codec: Codec[object] = codec_for(parameter.type)
        except TypeError as exc:
            raise parameter.refuse(f"cannot be decoded: {exc}.") from None
        fields = self._codec.fields() or ()
        self._repeated = {field.key for field in fields if is_collection(field.type)}
        self._once = {field.key for field in fields} - self._repeated
        self._json = JSON_TYPES[0] in accepted
        self._form = FORM_TYPES[0] in accepted
        self._msgpack = MSGPACK_TYPES[0] in accepted
        rules = {field.key: file_rule(field.type) for field in fields if self._form}
        self.file_rules: Mapping[str, FileRule] = {
            name: rule for name, rule in rules.items() if rule
        }

    async def extract(self, request: Request) -> object:
        media_type = request.content_type
        try:
            # PERF: one comparison for almost every body; benchmark `items`.
            if self._json and (media_type == "application/json" or _is_json(media_type)):
                return self._codec.decode_json(await request.body())
            if self._form and media_type in FORM_TYPES:
                form = await request.form()
                check_files(form, self.file_rules)
                self._check_once(form)
                return self._codec.convert(self._collect(form), strict=False)
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

    def _check_once(self, form: FormData) -> None:
        pairs = form.multi_items()
        if len(pairs) > len(form):
            counts = Counter(name for name, _ in pairs)
            errors = [
                FieldError("body", REPEATED, pointer=pointer_of(name), code="repeated")
                for name, count in counts.items()
                if count > 1 and name in self._once
            ]
            if errors:
                raise ValidationError(errors)

    def _collect(self, form: FormData) -> dict[str, object]:
        values: dict[str, object] = {}
        for key in form:
            values[key] = form.get_all(key) if key in self._repeated else form.get(key)
        return values

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
