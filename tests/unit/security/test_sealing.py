from __future__ import annotations

import pytest

from oxidite.security.sealing import Sealer, UnsealableError

OLD, NEW = b"an old secret...", b"a new secret...."


def sealer(*secrets: bytes, purpose: str = "test") -> Sealer:
    return Sealer(secrets, purpose=purpose, needed_by="A test")


def test_what_was_sealed_is_opened_with_its_context_only() -> None:
    sealed = sealer(OLD).seal(b"data", b"here")
    assert b"data" not in sealed
    assert sealer(OLD).open(sealed, b"here") == b"data"
    with pytest.raises(UnsealableError) as caught:
        sealer(OLD).open(sealed, b"there")
    assert not caught.value.is_foreign


def test_the_same_is_never_sealed_alike() -> None:
    assert sealer(OLD).seal(b"data", b"") != sealer(OLD).seal(b"data", b"")


@pytest.mark.parametrize("other", [sealer(NEW), sealer(OLD, purpose="another")])
def test_another_secret_or_purpose_is_told_apart(other: Sealer) -> None:
    with pytest.raises(UnsealableError) as caught:
        other.open(sealer(OLD).seal(b"data", b""), b"")
    assert caught.value.is_foreign


def test_the_first_secret_writes_and_all_read() -> None:
    both = sealer(NEW, OLD)
    old, new = sealer(OLD).seal(b"data", b""), both.seal(b"data", b"")
    assert both.open(old, b"") == both.open(new, b"") == b"data"
    assert both.is_newest(new)
    assert not both.is_newest(old)
    assert sealer(NEW).open(new, b"") == b"data"


@pytest.mark.parametrize("cut", range(20))
def test_what_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(UnsealableError):
        sealer(OLD).open(sealer(OLD).seal(b"", b"")[:cut], b"")


def test_it_does_not_show_its_keys() -> None:
    assert repr(sealer(OLD)) == "<sealer>"
