"""What is kept with a value: compressed, encrypted, and read again by those who may."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.cache import Cache
from oxidite.cache.backends.memory import MemoryBackend
from oxidite.cache.envelope import Envelope, UnreadableError, Wrapping
from oxidite.config import Secret
from oxidite.errors import ConfigError

OLD, NEW = "an old secret of the application", "a new secret of the application"
PLAIN = Wrapping(compress=None, secret=None)
SMALL = Wrapping(compress=100, secret=None)
SEALED = Wrapping(compress=100, secret=OLD)

TIMES = st.floats(0, 1e11) | st.just(math.inf)
TAGS = st.lists(st.text("abc:%", min_size=1), max_size=5).map(tuple)
ENVELOPES = st.builds(
    Envelope,
    payload=st.binary(max_size=500) | st.just(b"x" * 1000),
    as_of=st.integers(0, 2**64 - 1),
    made=st.floats(0, 1e11),
    calm=TIMES,
    fresh=TIMES,
    stale=TIMES,
    cost=st.floats(0, 1000, width=32),
    tags=TAGS,
)


@pytest.mark.parametrize("wrapping", [PLAIN, SMALL, SEALED])
@given(envelope=ENVELOPES)
def test_an_envelope_comes_back_as_it_was(wrapping: Wrapping, envelope: Envelope) -> None:
    assert wrapping.unwrap("key", wrapping.wrap("key", envelope)) == envelope


@pytest.mark.parametrize("wrapping", [PLAIN, SMALL, SEALED])
@given(data=st.binary(max_size=200), envelope=ENVELOPES, cut=st.integers(0, 60))
def test_any_bytes_are_read_or_refused(
    wrapping: Wrapping, data: bytes, envelope: Envelope, cut: int
) -> None:
    for each in (data, b"\x01" + data, wrapping.wrap("key", envelope)[:cut]):
        try:
            wrapping.unwrap("key", each)
        except UnreadableError:
            continue


def test_numbers_are_read_as_numbers() -> None:
    assert PLAIN.unwrap("key", b"-42").payload == b"\xd0\xd6"
    for wrong in (b"1x", b"-", b"9" * 50, b""):
        with pytest.raises(UnreadableError):
            PLAIN.unwrap("key", wrong)


def test_what_is_large_is_smaller_and_readable_without_the_option() -> None:
    envelope = Envelope(b"x" * 10_000)
    small = SMALL.wrap("key", envelope)
    assert len(small) < 200
    assert PLAIN.unwrap("key", small) == envelope
    incompressible = Envelope(bytes(range(256)))
    assert len(SMALL.wrap("key", incompressible)) == len(PLAIN.wrap("key", incompressible))


@given(place=st.integers(0, 200), change=st.integers(1, 255))
def test_a_changed_encrypted_value_is_refused(place: int, change: int) -> None:
    data = bytearray(SEALED.wrap("key", Envelope(b"secret", fresh=1.0, tags=("t",))))
    data[place % len(data)] ^= change
    with pytest.raises(UnreadableError):
        SEALED.unwrap("key", bytes(data))


def test_an_encrypted_value_shows_nothing_and_stays_under_its_key() -> None:
    data = SEALED.wrap("key", Envelope(b"secret"))
    assert b"secret" not in data
    with pytest.raises(UnreadableError):
        SEALED.unwrap("other", data)
    with pytest.raises(UnreadableError):
        PLAIN.unwrap("key", data)
    with pytest.raises(UnreadableError):
        SEALED.unwrap("key", PLAIN.wrap("key", Envelope(b"forged")))


def test_secrets_change_one_after_the_other() -> None:
    both = Wrapping(compress=None, secret=[NEW, Secret(OLD)])
    assert both.unwrap("key", SEALED.wrap("key", Envelope(b"x"))).payload == b"x"
    assert Wrapping(compress=None, secret=NEW).unwrap("key", both.wrap("key", Envelope(b"y")))
    with pytest.raises(UnreadableError):
        SEALED.unwrap("key", both.wrap("key", Envelope(b"y")))
    with pytest.raises(ConfigError, match="at least 16 random bytes"):
        Wrapping(compress=None, secret="short")
    with pytest.raises(ConfigError, match="encrypts with nothing"):
        Wrapping(compress=None, secret=[])


async def test_what_cannot_be_read_is_a_miss_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = MemoryBackend()
    async with Cache(backend, secret=OLD, l1=None) as old:
        for number in range(5):
            await old.set(f"user:{number}", number)
        async with Cache(backend, secret=NEW, l1=None) as cache:
            for number in range(5):
                assert await cache.get(f"user:{number}", int) is None
            assert cache.counts.undecodable == 5
            assert caplog.text.count("under user:* cannot be read") == 1
            assert await cache.get_or_set("user:1", lambda: 7, type=int) == 7
            assert await cache.get("user:1", int) == 7


def test_who_cannot_expand_what_another_compressed_makes_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = SMALL.wrap("key", Envelope(b"x" * 1000))

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("oxidite.cache.envelope.import_module", missing)
    with pytest.raises(UnreadableError, match=r"oxidite\[compress\]"):
        Wrapping(compress=None, secret=None).unwrap("key", data)
