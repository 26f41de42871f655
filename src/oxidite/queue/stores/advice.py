"""What people should know of how the service of a store is set, so that no job is lost.

Of the processes of one command one says it, and the others are silent.
"""

from __future__ import annotations

import logging

__all__ = ["advise", "be_silent"]

_logger = logging.getLogger("oxidite.queue.advice")


def advise(message: str, *args: object) -> None:
    """Say what is to be changed in the settings of a service."""
    _logger.warning(message, *args)


def be_silent() -> None:
    """Leave it to another process to say it."""
    _logger.setLevel(logging.ERROR)
