from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass

import msgspec
import pytest

from oxidite.config import Secret

VALUE = "correct-horse-battery-staple"


class Account(msgspec.Struct):
    name: str
    password: Secret[str]


@dataclass(frozen=True)
class Settings:
    password: Secret[str]


@pytest.fixture
def secret() -> Secret[str]:
    return Secret(VALUE)


def test_a_secret_gives_its_value_away_only_when_asked_to(secret: Secret[str]) -> None:
    assert secret.reveal() == VALUE


def test_no_way_of_printing_shows_the_value(
    secret: Secret[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r", secret, secret)
    texts = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r}",
        f"{secret:>40}",
        "%s" % secret,  # noqa: UP031 - old code prints this way
        repr([secret]),
        repr(Account("ann", secret)),
        repr(Settings(secret)),
        caplog.text,
    ]

    assert [text for text in texts if VALUE in text] == []
    assert "*****" in str(secret)


def test_the_mask_does_not_tell_the_length() -> None:
    assert str(Secret("a")) == str(Secret("a" * 100))


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode, json.dumps])
def test_encoding_is_refused_and_the_error_does_not_show_the_value(
    secret: Secret[str], encode: object
) -> None:
    assert callable(encode)
    for holder in (secret, [secret], {"a": secret}):
        with pytest.raises(TypeError) as caught:
            encode(holder)
        assert VALUE not in str(caught.value)


def test_a_struct_with_a_secret_is_not_encoded(secret: Secret[str]) -> None:
    with pytest.raises(TypeError) as caught:
        msgspec.json.encode(Account("ann", secret))

    assert VALUE not in str(caught.value)


def test_an_encoder_that_falls_back_to_text_gets_the_mask(secret: Secret[str]) -> None:
    assert VALUE.encode() not in msgspec.json.encode({"a": secret}, enc_hook=str)
    assert VALUE not in json.dumps({"a": secret}, default=str)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(secret: Secret[str], protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret, protocol)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Settings(secret), protocol)


def test_a_copy_is_the_same_object_so_settings_can_be_copied(secret: Secret[str]) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy(secret) is secret
    assert asdict(Settings(secret)) == {"password": secret}


def test_a_secret_does_not_change(secret: Secret[str]) -> None:
    with pytest.raises(AttributeError):
        secret._value = "other"
    with pytest.raises(AttributeError):
        secret.other = "other"
    with pytest.raises(AttributeError):
        del secret._value

    assert secret.reveal() == VALUE


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("same", "same", True),
        ("same", "Same", False),
        ("same", "same ", False),
        ("", "", True),
        (b"same", b"same", True),
        ("same", b"same", False),
        ("ü\ud800", "ü\ud800", True),
        (5, 5, True),
        (5, 6, False),
        (5, "5", False),
    ],
)
def test_secrets_are_equal_when_their_values_are(one: object, other: object, equal: bool) -> None:
    assert (Secret(one) == Secret(other)) is equal
    assert (Secret(one) != Secret(other)) is not equal
    if equal:
        assert hash(Secret(one)) == hash(Secret(other))


def test_a_secret_never_equals_the_plain_value(secret: Secret[str]) -> None:
    plain: object = VALUE

    assert secret != plain
    assert plain != secret
    assert hash(secret) != hash(VALUE)


def test_an_empty_secret_is_false() -> None:
    assert Secret("x")
    assert not Secret("")
