from __future__ import annotations

import os
import stat
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.config import Secret
from oxidite.errors import ConfigError, ForbiddenError
from oxidite.security import (
    BadSignatureError,
    ExpiredSignatureError,
    Signer,
    development_secret,
)
from oxidite.security.signing import decode_base64url, encode_base64url, hkdf

SECRET = "0123456789abcdef"
NEW = "fedcba9876543210"

signer = Signer(SECRET, salt="test")


@pytest.fixture
def travel() -> Iterator[TravelClock]:
    with clock.use(TravelClock()) as travel:
        yield travel


# Tokens


@given(st.binary(max_size=200))
def test_what_was_signed_is_opened(value: bytes) -> None:
    assert signer.unsign(signer.sign(value)) == value
    assert signer.unsign(signer.sign(value, ttl=60), max_age=60) == value


def test_text_is_signed_as_utf8() -> None:
    assert signer.unsign(signer.sign("grüße")).decode() == "grüße"
    assert signer.unsign(signer.sign("")) == b""


@given(st.binary(max_size=50))
def test_a_token_is_safe_in_urls_cookies_and_headers(value: bytes) -> None:
    assert set(signer.sign(value, ttl=5)) <= set(string.ascii_letters + string.digits + "-_.")


tokens = st.sampled_from(
    [
        signer.sign("user:7"),
        signer.sign("user:7", ttl=3600),
        signer.sign(b""),
        signer.sign("x" * 40),
    ]
)


@given(tokens, st.data())
def test_a_token_with_one_character_changed_is_refused(token: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.characters())
    assume(token[place] != char)
    changed = token[:place] + char + token[place + 1 :]

    with pytest.raises(BadSignatureError) as caught:
        signer.unsign(changed)

    assert not isinstance(caught.value, ExpiredSignatureError)


@given(tokens, st.data())
def test_a_token_with_something_added_or_missing_is_refused(
    token: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(token)))
    added = data.draw(st.text(min_size=1, max_size=3))
    missing = data.draw(st.integers(1, 5))

    for changed in (
        token[:place] + added + token[place:],
        token[:place] + token[place + missing :],
    ):
        if changed != token:
            with pytest.raises(BadSignatureError):
                signer.unsign(changed)


@given(st.text(max_size=60))
def test_any_text_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(BadSignatureError):
        signer.unsign(text)
    with pytest.raises(BadSignatureError):
        signer.verify("value", text)
    with pytest.raises(BadSignatureError):
        signer.verify(text, signer.seal("another value that was sealed"))


@pytest.mark.parametrize("text", ["\ud800", "a.b.c.\udcff", "", ".", "...", "....", "=.=.=.="])
def test_broken_tokens_are_refused(text: str) -> None:
    with pytest.raises(BadSignatureError):
        signer.unsign(text)
    with pytest.raises(BadSignatureError):
        signer.verify("value", text)
    with pytest.raises(BadSignatureError):
        signer.verify(text, signer.seal("value"))


def test_unused_bits_of_the_signature_are_part_of_it() -> None:
    token = signer.sign("user:7")
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    same_bytes = [
        token[:-1] + char
        for char in alphabet
        if alphabet.index(char) >> 2 == alphabet.index(token[-1]) >> 2 and char != token[-1]
    ]

    assert len(same_bytes) == 3
    for twin in same_bytes:
        with pytest.raises(BadSignatureError):
            signer.unsign(twin)


@pytest.mark.parametrize("padding", ["=", "==", "\n", " ", "%3D"])
def test_padding_and_white_space_are_refused(padding: str) -> None:
    with pytest.raises(BadSignatureError):
        signer.unsign(signer.sign("user:7") + padding)


# Purposes and keys


def test_what_was_signed_for_one_purpose_is_refused_for_another() -> None:
    with pytest.raises(BadSignatureError):
        Signer(SECRET, salt="other").unsign(signer.sign("user:7"))


def test_what_was_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(BadSignatureError):
        Signer(NEW, salt="test").unsign(signer.sign("user:7"))


def test_the_first_secret_signs_and_all_verify() -> None:
    old, new = Signer(SECRET, salt="test"), Signer(NEW, salt="test")
    both = Signer([NEW, SECRET], salt="test")

    assert both.unsign(old.sign("a")) == b"a"
    assert both.unsign(new.sign("a")) == b"a"
    assert new.unsign(both.sign("a")) == b"a"
    with pytest.raises(BadSignatureError):
        old.unsign(both.sign("a"))
    both.verify("a", old.seal("a"))


def test_a_secret_may_be_text_bytes_or_wrapped() -> None:
    token = signer.sign("a")

    assert Signer(SECRET.encode(), salt="test").unsign(token) == b"a"
    assert Signer(Secret(SECRET), salt="test").unsign(token) == b"a"
    assert Signer((Secret(SECRET),), salt="test").unsign(token) == b"a"


@pytest.mark.parametrize(
    "secret", ["", "0123456789abcde", b"short", Secret("hunter2"), [SECRET, "x"]]
)
def test_a_short_secret_is_refused_and_not_told(secret: str | bytes | Secret[str]) -> None:
    with pytest.raises(ConfigError, match="at least 16") as caught:
        Signer(secret, salt="test")

    assert "hunter2" not in caught.value.message


def test_the_length_of_a_secret_is_counted_in_bytes() -> None:
    Signer("ü" * 8, salt="test")

    with pytest.raises(ConfigError):
        Signer("ü" * 7, salt="test")


def test_a_signer_needs_a_secret_and_a_purpose() -> None:
    with pytest.raises(ConfigError, match="at least one secret"):
        Signer([], salt="test")
    with pytest.raises(ConfigError, match="purpose"):
        Signer(SECRET, salt="")


def test_a_signer_does_not_show_its_keys() -> None:
    key = hkdf(SECRET.encode(), info=b"oxidite signing 1\0test")

    assert signer._keys == [key]
    assert SECRET not in repr(signer)
    assert repr(key) not in repr(signer)


# Time


def test_a_token_is_good_for_its_ttl_and_not_longer(travel: TravelClock) -> None:
    token = signer.sign("user:7", ttl=60)

    travel.jump(59.999)
    assert signer.unsign(token) == b"user:7"
    travel.jump(0.001)
    with pytest.raises(ExpiredSignatureError):
        signer.unsign(token)


def test_who_opens_a_token_can_ask_for_less(travel: TravelClock) -> None:
    token = signer.sign("user:7", ttl=60)
    travel.jump(30)

    assert signer.unsign(token, max_age=30.5) == b"user:7"
    with pytest.raises(ExpiredSignatureError):
        signer.unsign(token, max_age=30)


def test_asking_for_more_does_not_make_a_token_last_longer(travel: TravelClock) -> None:
    token = signer.sign("user:7", ttl=60)
    travel.jump(60)

    with pytest.raises(ExpiredSignatureError):
        signer.unsign(token, max_age=3600)


def test_a_token_without_ttl_is_good_for_ever(travel: TravelClock) -> None:
    token = signer.sign("user:7")
    travel.jump(1e9)

    assert signer.unsign(token) == b"user:7"


def test_a_token_from_a_machine_whose_clock_is_ahead_is_good(travel: TravelClock) -> None:
    with clock.use(TravelClock(travel.now())) as ahead:
        ahead.jump(5)
        token = signer.sign("user:7", ttl=60)

    assert signer.unsign(token, max_age=1) == b"user:7"


def test_a_changed_token_is_not_told_to_be_expired(travel: TravelClock) -> None:
    token = signer.sign("user:7", ttl=60)
    travel.jump(120)

    with pytest.raises(BadSignatureError) as caught:
        signer.unsign(token[:-1] + ("A" if token[-1] != "A" else "E"))

    assert not isinstance(caught.value, ExpiredSignatureError)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_times_are_positive_numbers_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        signer.sign("x", ttl=seconds)
    with pytest.raises(ValueError, match="positive number of seconds"):
        signer.unsign(signer.sign("x"), max_age=seconds)


# Seals


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_seal_fits_its_value_only(value: bytes, other: bytes) -> None:
    assume(value != other)
    seal = signer.seal(value)

    signer.verify(value, seal)
    with pytest.raises(BadSignatureError):
        signer.verify(other, seal)


def test_a_seal_expires_as_a_token_does(travel: TravelClock) -> None:
    seal = signer.seal("/file?id=7", ttl=60)
    signer.verify("/file?id=7", seal)
    travel.jump(30)
    with pytest.raises(ExpiredSignatureError):
        signer.verify("/file?id=7", seal, max_age=30)
    travel.jump(30)
    with pytest.raises(ExpiredSignatureError):
        signer.verify("/file?id=7", seal)


@pytest.mark.parametrize("ttl", [None, 60])
def test_nothing_can_move_between_a_value_and_the_times_of_its_seal(ttl: float | None) -> None:
    whole = f"/file.txt.{signer.seal('/file.txt', ttl=ttl)}"
    dots = [place for place, char in enumerate(whole) if char == "."]

    accepted = []
    for place in range(len(whole)):
        value, seal = whole[:place], whole[place + (place in dots) :]
        try:
            signer.verify(value, seal)
        except BadSignatureError:
            continue
        accepted.append(value)

    assert accepted == ["/file.txt"]


def test_a_token_is_no_seal_and_a_seal_no_token() -> None:
    text = encode_base64url(b"user:7")

    with pytest.raises(BadSignatureError):
        signer.verify(text, signer.sign("user:7").partition(".")[2])
    with pytest.raises(BadSignatureError):
        signer.unsign(f"{text}.{signer.seal(text)}")


# Errors


def test_a_bad_signature_is_answered_with_403_and_an_expired_one_has_its_own_code() -> None:
    assert issubclass(BadSignatureError, ForbiddenError)
    assert (BadSignatureError.status, BadSignatureError.code) == (403, "bad_signature")
    assert (ExpiredSignatureError.status, ExpiredSignatureError.code) == (403, "expired_signature")


# RFC 5869, appendix A.1 to A.3

LONG_KEY = (
    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
    "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
)


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "key"),
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)).hex(),
            bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(),
            82,
            LONG_KEY,
        ),
        (
            "0b" * 22,
            "",
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_keys_are_derived_as_the_rfc_says(
    secret: str, salt: str, info: str, length: int, key: str
) -> None:
    derived = hkdf(
        bytes.fromhex(secret),
        salt=bytes.fromhex(salt),
        info=bytes.fromhex(info),
        length=length,
    )

    assert derived.hex() == key


# base64url


@given(st.binary(max_size=100))
def test_bytes_are_read_back_from_base64url(data: bytes) -> None:
    text = encode_base64url(data)

    assert decode_base64url(text) == data
    assert "=" not in text


@given(st.text(st.sampled_from("AQgw-_+/= \nzé"), max_size=8))
def test_only_the_canonical_spelling_is_read(text: str) -> None:
    try:
        data = decode_base64url(text)
    except BadSignatureError:
        return
    assert encode_base64url(data) == text


# The secret of development


def test_a_project_has_one_development_secret(tmp_path: Path) -> None:
    secret = development_secret(tmp_path)

    assert development_secret(tmp_path) == secret
    assert len(secret) >= 43
    Signer(secret, salt="test")


def test_two_projects_have_two_development_secrets(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert development_secret(tmp_path / "a") != development_secret(tmp_path / "b")


def test_only_the_owner_reads_the_development_secret(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        development_secret(tmp_path)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / ".oxidite" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / ".oxidite").stat().st_mode) == 0o700


def test_a_development_secret_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    secret = development_secret(tmp_path)
    (tmp_path / ".oxidite" / "secret").chmod(0o644)

    assert development_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / ".oxidite" / "secret").stat().st_mode) == 0o600


def test_the_development_secret_is_ignored_by_git_and_nothing_is_left_beside_it(
    tmp_path: Path,
) -> None:
    development_secret(tmp_path)

    assert sorted(path.name for path in (tmp_path / ".oxidite").iterdir()) == [
        ".gitignore",
        "secret",
    ]
    assert (tmp_path / ".oxidite" / ".gitignore").read_text() == "*\n"


def test_the_users_own_ignore_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".oxidite").mkdir()
    (tmp_path / ".oxidite" / ".gitignore").write_text("secret\n")

    development_secret(tmp_path)

    assert (tmp_path / ".oxidite" / ".gitignore").read_text() == "secret\n"


def test_processes_that_start_together_get_the_same_development_secret(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from oxidite.security.signing import development_secret\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        f"print(development_secret(pathlib.Path({str(tmp_path)!r})))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    secrets = {process.communicate()[0].strip() for process in processes}

    assert secrets == {development_secret(tmp_path)}


def test_a_process_that_loses_the_race_takes_the_winners_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_link = os.link

    def link(source: Path, target: Path) -> None:
        # Another process gives its secret the name just before.
        if not Path(target).exists():
            Path(target).write_text("the-secret-of-the-other-process")
        real_link(source, target)

    monkeypatch.setattr(os, "link", link)

    assert development_secret(tmp_path) == "the-secret-of-the-other-process"


@pytest.mark.parametrize("content", ["", "short", "\n\n"])
def test_a_file_without_a_secret_in_it_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / ".oxidite").mkdir()
    (tmp_path / ".oxidite" / "secret").write_text(content)

    with pytest.raises(ConfigError, match="does not hold a secret"):
        development_secret(tmp_path)


def test_a_secret_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".oxidite").mkdir()
    (tmp_path / "elsewhere").write_text("a secret of somebody else")
    (tmp_path / ".oxidite" / "secret").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="cannot be kept"):
        development_secret(tmp_path)


@pytest.mark.parametrize("broken", ["no such directory", "a file in its place", "not text"])
def test_a_place_where_no_secret_can_be_kept_is_told(tmp_path: Path, broken: str) -> None:
    if broken == "a file in its place":
        (tmp_path / ".oxidite").write_text("")
    elif broken == "not text":
        (tmp_path / ".oxidite").mkdir()
        (tmp_path / ".oxidite" / "secret").write_bytes(b"\xff" * 40)
    directory = tmp_path / "none" if broken == "no such directory" else tmp_path

    with pytest.raises(ConfigError, match="secret=") as caught:
        development_secret(directory)

    assert caught.value.__cause__ is not None
