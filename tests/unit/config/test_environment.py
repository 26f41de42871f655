from __future__ import annotations

import pytest

from oxidite.config import environment
from oxidite.errors import ConfigError


def test_it_is_production_unless_said_otherwise() -> None:
    assert environment(environ={}) == "production"
    assert environment(environ={"OXIDITE_ENV": ""}) == "production"


def test_the_caller_may_say_otherwise_and_the_variable_wins() -> None:
    assert environment(default="development", environ={}) == "development"
    assert environment(default="development", environ={"OXIDITE_ENV": "test"}) == "test"


def test_it_is_read_from_the_process_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXIDITE_ENV", "development")

    assert environment() == "development"


@pytest.mark.parametrize("word", ["dev", "Production", "prod\n", "staging"])
def test_any_other_word_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(ConfigError, match="development, production, test") as caught:
        environment(environ={"OXIDITE_ENV": word})

    assert repr(word) in caught.value.message
