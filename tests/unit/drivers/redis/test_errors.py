"""What the server says when it refuses."""

from __future__ import annotations

import pytest

from oxidite.drivers.redis import RedisFullError
from oxidite.drivers.redis.errors import NoScriptError, reply_error
from oxidite.errors import BackendError, BackendUnavailableError, ConfigError


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", RedisFullError, "maxmemory"),
        (
            "READONLY You can't write against a read only replica.",
            BackendUnavailableError,
            "replica",
        ),
        ("LOADING Redis is loading the dataset in memory", BackendUnavailableError, "starting"),
        ("MISCONF Redis is configured to save", BackendUnavailableError, "disk"),
        ("MOVED 3999 127.0.0.1:6381", ConfigError, "Cluster"),
        ("CROSSSLOT Keys in request", ConfigError, "Cluster"),
        ("NOSCRIPT No matching script.", NoScriptError, "script"),
        ("ERR unknown command", BackendError, "Redis refused: ERR unknown command"),
        ("", BackendError, "refused"),
    ],
)
def test_each_refusal_has_its_error(text: str, kind: type[Exception], said: str) -> None:
    error = reply_error(text)
    assert type(error) is kind
    assert said in str(error)
    assert text in str(error)
