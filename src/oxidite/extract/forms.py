"""Forms of one type, or of one of several: text becomes what the fields of the right one hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from msgspec import Struct

from oxidite.encoding import Codec, codec_for
from oxidite.encoding.explain import pointer_of
from oxidite.errors import FieldError, ValidationError
from oxidite.extract.files import check_files, file_rule
from oxidite.extract.params import REPEATED, is_collection, without_none
from oxidite.http.form import FormData
from oxidite.http.limits import FileRule

__all__ = ["FormReader", "form_reader"]


class FormReader:
    """Makes values of one type out of forms."""

    def __init__(self, type_: object, *, tag: Mapping[str, object] | None = None) -> None:
        self._codec: Codec[object] = codec_for(type_, finite=True)
        fields = self._codec.fields() or ()
        self._repeated = {field.key for field in fields if is_collection(field.type)}
        self._once = {field.key for field in fields} - self._repeated
        self._tag = tag or {}
        rules = {field.key: file_rule(field.type) for field in fields}
        self.file_rules: Mapping[str, FileRule] = {
            name: rule for name, rule in rules.items() if rule
        }

    def read(self, form: FormData) -> object:
        """Return the value.

        Raises:
            ValidationError: a field is there more than once.
            MismatchError: the form is of another shape.
            FormLimitError: a file is too large, or there are too many.
            UnsupportedFileError: a file is of another type.
        """
        check_files(form, self.file_rules)
        self._check_once(form)
        return self._codec.convert({**self._collect(form), **self._tag}, strict=False)

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


class _ByTag:
    """Reads a form as the one of several Structs that its tag names."""

    def __init__(self, type_: object, variants: list[type[Struct]]) -> None:
        configs = [variant.__struct_config__ for variant in variants]
        self._field = str(configs[0].tag_field)
        # A tag may be a number, which in a form is text.
        self._variants = {
            str(config.tag): FormReader(variant, tag={self._field: config.tag})
            for variant, config in zip(variants, configs, strict=True)
        }
        self._without_tag = FormReader(type_)
        self.file_rules: Mapping[str, FileRule] = {
            name: rule for each in self._variants.values() for name, rule in each.file_rules.items()
        }

    def read(self, form: FormData) -> object:
        tags = form.get_all(self._field)
        if not tags:
            return self._without_tag.read(form)
        if len(tags) > 1:
            raise self._refusal(REPEATED, "repeated")
        tag = tags[0]
        found = self._variants.get(tag) if isinstance(tag, str) else None
        if found is None:
            raise self._refusal(f"Expected one of: {', '.join(self._variants)}.", "invalid")
        return found.read(form)

    def _refusal(self, message: str, code: str) -> ValidationError:
        pointer = pointer_of(self._field)
        return ValidationError([FieldError("body", message, pointer=pointer, code=code)])


def form_reader(type_: object) -> FormReader | _ByTag:
    """Return what reads forms as a ``type_``: one type, ``None`` beside it or not, or tagged Structs.

    Raises:
        TypeError: nothing knows how to decode that type.
    """
    bare = without_none(type_)
    while get_origin(bare) is Annotated:
        bare = without_none(get_args(bare)[0])
    if get_origin(bare) not in (Union, UnionType):
        return FormReader(without_none(type_))
    variants = [
        each for each in get_args(bare) if isinstance(each, type) and issubclass(each, Struct)
    ]
    if len(variants) == len(get_args(bare)) and all(
        each.__struct_config__.tag is not None for each in variants
    ):
        return _ByTag(type_, variants)
    return FormReader(type_)
