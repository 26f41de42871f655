"""Whether a middleware only passes on: whether all it does with ``call_next`` is to return its answer."""

from __future__ import annotations

import dis
import inspect
from types import FunctionType, MethodType
from typing import Final

__all__ = ["passes_on"]

_SILENT: Final = frozenset(("CACHE", "EXTENDED_ARG", "PRECALL", "PUSH_NULL", "RESUME"))
_AWAITED_AND_RETURNED: Final = (
    "CALL",
    "GET_AWAITABLE",
    "LOAD_CONST",
    "SEND",
    "YIELD_VALUE",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "RETURN_VALUE",
)


def passes_on(middleware: object) -> bool:
    """Tell whether ``middleware`` has ``call_next`` in ``return await call_next(request)`` only.

    Neither ``try`` nor ``with`` is in it, so nothing of it runs once the call has begun, and it cannot
    tell an answer from an exception. Read from the bytecode, which is what runs. Whatever is not
    understood, another shape or the code of another Python, is ``False``, which is never wrong.
    """
    function = _function_of(middleware)
    if function is None or not inspect.iscoroutinefunction(function):
        return False
    code = function.__code__
    first = 0 if function is middleware else 1  # after ``self``
    if code.co_argcount != first + 2 or code.co_kwonlyargcount:
        return False
    request, call_next = code.co_varnames[first : first + 2]
    # Python 3.13 loads two variables with one instruction, and 3.12 ends the loop of `await` with one
    # more: both are brought to the form of 3.11.
    steps: list[tuple[str, object]] = []
    for step in dis.get_instructions(code):
        if step.opname == "PUSH_EXC_INFO":
            return False  # what a handler begins with
        if step.opname in _SILENT or step.opname == "END_SEND":
            continue
        if isinstance(step.argval, tuple) and step.opname.startswith("LOAD_FAST"):
            steps += [("LOAD_FAST", name) for name in step.argval]
        else:
            steps.append((step.opname, step.argval))
    uses = [place for place, (_, value) in enumerate(steps) if value == call_next]
    calls = [
        place
        for place in uses
        if steps[place : place + 2] == [("LOAD_FAST", call_next), ("LOAD_FAST", request)]
        and tuple(name for name, _ in steps[place + 2 : place + 9]) == _AWAITED_AND_RETURNED
    ]
    is_kept = ("STORE_FAST", request) not in steps
    return bool(uses) and uses == calls and is_kept


def _function_of(middleware: object) -> FunctionType | None:
    """Return the function that runs when ``middleware`` is called."""
    if isinstance(middleware, MethodType):
        middleware = middleware.__func__
    elif not isinstance(middleware, FunctionType):
        middleware = type(middleware).__call__ if callable(middleware) else None
    return middleware if isinstance(middleware, FunctionType) else None
