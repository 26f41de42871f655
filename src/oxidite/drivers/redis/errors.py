"""What the server says when it refuses, as errors of ours."""

from __future__ import annotations

from redis import exceptions as theirs

from oxidite.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigError,
    ErrorMap,
    OxiditeError,
)

__all__ = ["CONNECTING", "NoScriptError", "RedisFullError", "reply_error"]


class RedisFullError(BackendError):
    """Redis has no memory left and evicts nothing: raise its maxmemory, or set a maxmemory-policy."""

    code = "redis_full"


class NoScriptError(BackendError):
    """Redis does not know this script (any more): it is to be sent as a whole."""

    code = "redis_no_script"


CONNECTING: ErrorMap = {
    # In this order: the first is also one of the last.
    theirs.AuthenticationError: ConfigError,
    theirs.AuthorizationError: ConfigError,
    theirs.NoPermissionError: ConfigError,
    theirs.ConnectionError: BackendUnavailableError,
    theirs.TimeoutError: BackendUnavailableError,
    theirs.RedisError: BackendUnavailableError,
    TimeoutError: BackendUnavailableError,
    OSError: BackendUnavailableError,
}
"""What may go wrong while a connection is made."""

_CLUSTER = (
    "This server is part of a Redis Cluster, which is not supported: use a server of its own, or a proxy "
    "that hides the cluster."
)
_REPLICA = "This server is a replica, which takes no writes: the URL should lead to the primary."

_CODES: dict[str, tuple[type[OxiditeError], str]] = {
    "ASK": (ConfigError, _CLUSTER),
    "CROSSSLOT": (ConfigError, _CLUSTER),
    "MOVED": (ConfigError, _CLUSTER),
    "BUSY": (BackendUnavailableError, "A script of somebody keeps Redis busy."),
    "CLUSTERDOWN": (BackendUnavailableError, "Redis is down."),
    "LOADING": (BackendUnavailableError, "Redis is starting: it still loads its data."),
    "MASTERDOWN": (BackendUnavailableError, "This replica has lost its primary."),
    "MISCONF": (BackendUnavailableError, "Redis cannot write to its disk, and takes no writes."),
    "NOSCRIPT": (NoScriptError, "Redis does not know this script."),
    "OOM": (RedisFullError, RedisFullError.__doc__ or ""),
    "READONLY": (BackendUnavailableError, _REPLICA),
    "TRYAGAIN": (BackendUnavailableError, "Redis is being rearranged."),
}


def reply_error(text: str) -> OxiditeError:
    """Return what is to be raised where the server answered with an error."""
    kind, said = _CODES.get(text.partition(" ")[0], (BackendError, ""))
    return kind(f"{said} ({text})" if said else f"Redis refused: {text}")
