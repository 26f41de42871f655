"""The one place that encodes and decodes: JSON, MessagePack and strings, into declared types.

``codec_for(T)`` gives the codec of a type: a msgspec ``Struct``, dataclass, ``TypedDict``, attrs
class, builtin, or a pydantic model when pydantic is installed. When decoding fails, the codec goes
over the data a second time and reports every error, each with a JSON Pointer.
"""

from oxidite.encoding.base import Field
from oxidite.encoding.codec import Codec, codec_for
from oxidite.encoding.errors import DecodeError, MismatchError, Problem
from oxidite.encoding.json import encode_json, encode_msgpack, json_text, to_plain

__all__ = [
    "Codec",
    "DecodeError",
    "Field",
    "MismatchError",
    "Problem",
    "codec_for",
    "encode_json",
    "encode_msgpack",
    "json_text",
    "to_plain",
]
