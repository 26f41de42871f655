"""Where an application is, and how it is loaded from there."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import cast

from oxidite.app import Oxidite
from oxidite.config.problems import did_you_mean
from oxidite.errors import ConfigError
from oxidite.http.response import ASGIApp
from oxidite.servers.frames import users_traceback
from oxidite.servers.hosting import WorkerPlan, host_worker

__all__ = ["ImportFailedError", "Target", "TargetError"]

_NAME = "app"
_FACTORY = "create_app"


class TargetError(ConfigError):
    """There is no application where one was looked for."""

    code = "target"


class ImportFailedError(TargetError):
    """The module of the application raised while it was imported.

    ``traceback`` holds the frames of the user's own files; ``summary`` its last line.
    """

    code = "import_failed"

    def __init__(self, what: str, cause: BaseException) -> None:
        self.traceback: str = users_traceback(cause)
        self.summary: str = self.traceback.rstrip().rpartition("\n")[2]
        super().__init__(f"{what}:\n\n{self.traceback}".rstrip())


@dataclass(frozen=True, slots=True)
class Target:
    """A module below ``directory`` and the application in it.

    Without ``attribute`` that is ``app``, else the only ``Oxidite`` there, else what the function
    ``create_app`` returns. ``file`` is where the module was seen, to notice that another one of
    that name hides it. ``worker`` is how a worker of its jobs works beside it, if one does.
    """

    module: str
    attribute: str | None = None
    directory: Path = Path()
    file: Path | None = None
    worker: WorkerPlan | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}" if self.attribute else self.module

    def load(self) -> ASGIApp:
        """Import the module, its directory first on ``sys.path``, and return the application.

        A function without arguments is called: it makes the application.

        Raises:
            ImportFailedError: the module, or the function, raised.
            TargetError: there is no such module, or no application in it, or several.
        """
        module = self.load_module()
        app = self._made(*self._find(module))
        if self.worker is not None and not host_worker(app, self.worker):
            raise TargetError(f"{self} has no queue, so there is nothing for a worker to do.")
        return app

    def load_module(self) -> ModuleType:
        """Import the module and return it; raises as ``load`` does."""
        directory = str(self.directory.resolve())
        if directory not in sys.path[:1]:
            sys.path.insert(0, directory)
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as exc:
            if exc.name is None or not f"{self.module}.".startswith(f"{exc.name}."):
                raise ImportFailedError(f"{self.module} cannot be imported", exc) from exc
            raise TargetError(self._no_module(exc.name)) from None
        except (Exception, SystemExit) as exc:
            raise ImportFailedError(f"{self.module} cannot be imported", exc) from exc
        self._check_file(module)
        return module

    def _no_module(self, name: str) -> str:
        directory = self.directory.resolve()
        parent = directory.joinpath(*name.split(".")[:-1])
        near = did_you_mean(name.rpartition(".")[2], _modules_in(parent))
        return f"There is no module {name!r} below {directory}{near}"

    def _check_file(self, module: ModuleType) -> None:
        found = getattr(module, "__file__", None)
        if self.file is None or found is None or Path(found).resolve() == self.file.resolve():
            return
        raise TargetError(
            f"{self.file.name} cannot be imported as {self.module!r}: that is {found}. "
            "Rename the file."
        )

    def _find(self, module: ModuleType) -> tuple[str, object]:
        if self.attribute is not None:
            try:
                return self.attribute, attrgetter(self.attribute)(module)
            except AttributeError:
                near = did_you_mean(self.attribute, _candidates(module))
                message = f"{self.module} has no {self.attribute!r}{near}"
                raise TargetError(message) from None
        named = getattr(module, _NAME, None)
        if is_asgi(named) or named is Oxidite:
            return _NAME, getattr(module, _NAME)
        return self._only(module)

    def _only(self, module: ModuleType) -> tuple[str, object]:
        found = {id(app): (name, app) for name, app in _oxidites(module)}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            names = [name for name, _ in found.values()]
            raise TargetError(
                f"There are {len(names)} applications in {self.module}: {', '.join(sorted(names))}. "
                f"Say which: {self.module}:{names[0]}"
            )
        if callable(getattr(module, _FACTORY, None)):
            return _FACTORY, getattr(module, _FACTORY)
        raise TargetError(
            f"There is no application in {self.module}: neither an `app = Oxidite()` nor a "
            f"function {_FACTORY}(). Name it if it is called otherwise: {self.module}:NAME"
        )

    def _made(self, name: str, found: object) -> ASGIApp:
        """Return the application, or what its factory makes."""
        if not is_asgi(found) and _is_factory(found):
            try:
                found = found()  # type: ignore[operator]  # _is_factory says so
            except (Exception, SystemExit) as exc:
                raise ImportFailedError(f"{self.module}:{name}() failed", exc) from exc
            if inspect.iscoroutine(found):
                found.close()
                raise TargetError(
                    f"{self.module}:{name} is async; a factory is an ordinary function."
                )
        if inspect.isclass(found):
            raise TargetError(
                f"{self.module}:{name} is the class {found.__name__}. Make an application of it: "
                f"{name} = {found.__name__}()"
            )
        if inspect.isroutine(found) and not is_asgi(found):
            raise TargetError(
                f"{self.module}:{name} is not an ASGI application, and takes arguments, which a "
                "factory does not."
            )
        if not is_asgi(found):
            raise TargetError(
                f"{self.module}:{name} of type {type(found).__name__} is not an ASGI application."
            )
        return cast("ASGIApp", found)


def is_asgi(value: object) -> bool:
    """Tell whether ``value`` can be called as an ASGI 3 application is."""
    return isinstance(value, Oxidite) or _takes(value, 3)


def _is_factory(value: object) -> bool:
    return _takes(value, 0)


def _takes(value: object, count: int) -> bool:
    if not callable(value) or inspect.isclass(value):
        return False
    try:
        inspect.signature(value).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        # Written in C and without a signature: an application may be, a factory is not.
        return count > 0
    return True


def _oxidites(module: ModuleType) -> Iterator[tuple[str, Oxidite]]:
    for name, value in vars(module).items():
        if isinstance(value, Oxidite):
            yield name, value


def _candidates(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if is_asgi(value) or name == _FACTORY]


def _modules_in(directory: Path) -> list[str]:
    if not directory.is_dir():
        return []
    return [each.stem for each in directory.iterdir() if each.suffix == ".py" or each.is_dir()]
