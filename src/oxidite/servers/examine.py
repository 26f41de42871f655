"""Looks into an application in a process that is thrown away.

A server that starts its workers as copies of its own process must not have imported the
application itself: threads and connections do not survive being copied, and workers that are
renewed would go on with the old code.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.connection import Connection

from oxidite.errors import ConfigError, OxiditeError
from oxidite.servers.base import Interface
from oxidite.servers.interface import choose_interface
from oxidite.servers.target import Target, TargetError

__all__ = ["examine"]


def examine(
    target: Target, *, rsgi: bool, wanted: Interface | None = None
) -> tuple[Interface, str]:
    """Load the application elsewhere and return what ``choose_interface`` says of it.

    Raises:
        ConfigError: it cannot be loaded, or cannot work.
    """
    # Copying this process is much faster, and here it has done nothing yet that would forbid it.
    fork = sys.platform == "linux"
    context = multiprocessing.get_context("fork") if fork else multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(target, rsgi, wanted, theirs))
    process.start()
    theirs.close()
    try:
        interface, text = ours.recv()
    except EOFError:
        process.join()
        raise TargetError(
            f"The process ended while it imported {target.module} (exit code {process.exitcode})."
        ) from None
    finally:
        # It has said all it had to say; threads that the import left must not hold it.
        process.kill()
        process.join()
        ours.close()
    if interface is None:
        raise ConfigError(text)
    return interface, text


def _look(target: Target, rsgi: bool, wanted: Interface | None, pipe: Connection) -> None:
    try:
        pipe.send(choose_interface(target.load(), rsgi=rsgi, wanted=wanted))
    except OxiditeError as exc:
        pipe.send((None, exc.message))
