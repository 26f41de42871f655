"""Which tasks a worker may run: what a name in a store leads to, and what it may not."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from oxidite.errors import OxiditeError
from oxidite.queue.errors import TaskError
from oxidite.queue.task import Task

__all__ = ["Tasks", "UnknownTaskError"]


class UnknownTaskError(OxiditeError):
    """No task of that name may be run here."""

    code = "unknown_task"


class Tasks:
    """The tasks of a queue, by name.

    A name is looked up among those given, and then in its module, if that is one of the packages; what is
    found there has to be a task. So whoever can write to the store can run tasks, and nothing else.
    """

    def __init__(self, known: Iterable[str | Task[Any, Any]]) -> None:
        self._packages: list[str] = []
        self._tasks: dict[str, Task[Any, Any]] = {}
        for each in known:
            if isinstance(each, Task):
                self._add(each)
            else:
                self._packages.append(each)

    @property
    def packages(self) -> list[str]:
        """The packages and modules whose tasks may be run."""
        return list(self._packages)

    def check(self, task: Task[Any, Any]) -> None:
        """Refuse a task that no worker of this queue would run.

        Raises:
            TaskError: it is in none of the packages.
        """
        known = self._tasks.get(task.name)
        if known is not None:
            return
        if not self._allows(task.function.__module__):
            raise TaskError(
                f"{task.name} is not among the tasks of this queue, which are those of "
                f"{', '.join(self._packages) or 'no package'}. Name its package: "
                f"Queue(…, tasks=[{task.function.__module__!r}])."
            )
        self._add(task)

    def find(self, name: str) -> Task[Any, Any]:
        """Return the task that a job names.

        Raises:
            UnknownTaskError: there is none, or it may not be run.
        """
        found = self._tasks.get(name)
        if found is None:
            found = self._tasks[name] = self._look_up(name)
        return found

    def import_all(self) -> None:
        """Import the packages, so that tasks with names of their own are known."""
        for package in self._packages:
            self._scan(import_module(package))

    def _add(self, task: Task[Any, Any]) -> None:
        for name in (task.name, *task.aliases):
            self._tasks.setdefault(name, task)

    def _allows(self, module: str) -> bool:
        return any(module == each or module.startswith(f"{each}.") for each in self._packages)

    def _look_up(self, name: str) -> Task[Any, Any]:
        module, _, path = name.partition(":")
        if path and self._allows(module):
            try:
                found: object = import_module(module)
                for part in path.split("."):
                    found = getattr(found, part)
            except (ImportError, AttributeError) as exc:
                raise UnknownTaskError(f"The task {name} is not there (any more): {exc}.") from exc
            if isinstance(found, Task):
                return found
            raise UnknownTaskError(f"{name} is no task, but a {type(found).__name__}.")
        self.import_all()
        if name in self._tasks:
            return self._tasks[name]
        raise UnknownTaskError(
            f"No task is called {name} in {', '.join(self._packages) or 'the tasks of this queue'}."
        )

    def _scan(self, module: object) -> None:
        for value in list(vars(module).values()):
            if isinstance(value, Task):
                self._add(value)
