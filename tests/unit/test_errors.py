"""``oxidite.errors``: errors of drivers become ours."""

from __future__ import annotations

import pytest

from oxidite.errors import BackendTimeoutError, BackendUnavailableError, ErrorMap, translate

ERRORS: ErrorMap = {TimeoutError: BackendTimeoutError, OSError: BackendUnavailableError}


def test_an_error_of_a_driver_becomes_ours_and_stays_its_cause() -> None:
    theirs = ConnectionRefusedError("no such host")
    with pytest.raises(BackendUnavailableError, match="no such host") as caught, translate(ERRORS):
        raise theirs

    assert caught.value.__cause__ is theirs


def test_the_first_that_fits_is_meant() -> None:
    # A TimeoutError is an OSError.
    with pytest.raises(BackendTimeoutError), translate(ERRORS):
        raise TimeoutError


def test_an_error_that_is_not_listed_stays_what_it_is() -> None:
    with pytest.raises(LookupError, match="mine"), translate(ERRORS):
        raise LookupError("mine")


def test_where_nothing_fails_nothing_happens() -> None:
    with translate(ERRORS):
        done = True

    assert done
