"""How the server libraries log: to standard error, and no more than somebody asked for."""

from __future__ import annotations

import sys
from typing import Any, Final

__all__ = ["SERVER_LOGS", "warn"]

SERVER_LOGS: Final[dict[str, Any]] = {  # the format of `logging.config.dictConfig` is an open one
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "server": {"format": "%(levelname)s: %(message)s"},
    },
    "handlers": {
        "server": {
            "class": "logging.StreamHandler",
            "formatter": "server",
            "stream": "ext://sys.stderr",
        },
    },
    "loggers": {
        "uvicorn": {"handlers": ["server"], "level": "WARNING", "propagate": False},
        "uvicorn.error": {"level": "WARNING"},
        "_granian": {"handlers": ["server"], "level": "WARNING", "propagate": False},
    },
}
"""For ``logging.config.dictConfig``: the libraries' own loggers, nothing of the application's."""


def warn(text: str) -> None:
    """Say something of the processes, in the form of the libraries."""
    sys.stderr.write(f"WARNING: {text}\n")
    sys.stderr.flush()
