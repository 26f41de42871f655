"""``oxidite.errors``: errors of drivers become ours."""

from __future__ import annotations

import pytest

from oxidite.errors import (
    BackendTimeoutError,
    BackendUnavailableError,
    ErrorMap,
    FieldError,
    ValidationError,
    translate,
)

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


def test_a_validation_error_says_in_a_traceback_what_is_wrong() -> None:
    error = ValidationError(
        [
            FieldError("body", "Too short.", pointer="/a/0"),
            FieldError("query", "Unknown.", name="q"),
        ]
    )
    assert str(error) == "2 errors in the request. /a/0: Too short.; q: Unknown."
    assert error.message == "2 errors in the request."
    many = ValidationError([FieldError("body", "No.", pointer="")] * 12, "All wrong.")
    assert str(many) == "All wrong. " + "No.; " * 10 + "and 2 more"
    assert str(ValidationError([])) == "0 errors in the request."
