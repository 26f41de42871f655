"""Which limits a request meets: those around it, and what its route says of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from oxidite.errors import ConfigError, TooManyRequestsError
from oxidite.http.request import Request
from oxidite.middleware.ratelimit.fields import FieldStyle, Writer, whole
from oxidite.middleware.ratelimit.keys import Key, by_address, stored
from oxidite.rates.base import Claim, Verdict
from oxidite.rates.rules import Rule

__all__ = ["Cost", "Plan", "Plans", "RateLimitedError", "limit"]

Cost: TypeAlias = int | Callable[[Request], int]
"""What a request takes from a quota: a number, or what a function says of it."""

_META = "rate_limit"


class RateLimitedError(TooManyRequestsError):
    """Too many requests: try again later."""

    code = "rate_limited"
    type = "https://iana.org/assignments/http-problem-types#quota-exceeded"

    @property
    def title(self) -> str:
        """The title that the type was registered with."""
        return "Request cannot be satisfied as assigned quota has been exceeded"


@dataclass(frozen=True, eq=False)
class RouteLimits:
    """What a route says of limits; made by ``limit``."""

    rules: tuple[Rule, ...]
    cost: Cost | None
    exempt: bool


def limit(*rules: str | Rule, cost: Cost | None = None, exempt: bool = False) -> dict[str, object]:
    """Return what a route has in ``meta=`` for the limits around it.

    ``rules`` are the route's own, counted for it alone, beside those of the middleware, or in their
    place with ``exempt``. ``cost`` is what one of its requests takes.

    Raises:
        ConfigError: a rule cannot be read, or a request costs more than there ever is.
    """
    own = parsed(rules)
    check_cost(cost, own)
    return {_META: RouteLimits(own, cost, exempt)}


def parsed(rules: Iterable[str | Rule]) -> tuple[Rule, ...]:
    """Return rules, those written as text too."""
    return tuple(Rule.parse(each) if isinstance(each, str) else each for each in rules)


def check_cost(cost: Cost | None, rules: Sequence[Rule]) -> None:
    """Check a cost that is a number.

    Raises:
        ConfigError: no request could ever be answered, or something would be given back.
    """
    if not isinstance(cost, int):
        return
    if cost < 0:
        raise ConfigError(f"cost={cost} would give something back; it is a number from 0.")
    for rule in rules:
        if cost > rule.capacity:
            raise ConfigError(f"cost={cost} is more than there ever is: {rule}.")


class Plan:
    """What holds for the requests of a route; ``scope`` keeps its own counts apart."""

    def __init__(
        self,
        outer: Sequence[Rule],
        own: Sequence[Rule],
        *,
        cost: Cost,
        scope: str,
        style: FieldStyle,
    ) -> None:
        self.rules: tuple[Rule, ...] = (*outer, *own)
        self.holds: bool = any(rule.algorithm == "concurrency" for rule in self.rules)
        self.writer: Writer = Writer(self.rules, style)
        self._scoped = [(rule, "") for rule in outer] + [(rule, scope) for rule in own]
        self._cost = cost

    def claims(self, request: Request, key: Key, prefix: str) -> Sequence[Claim]:
        """Return what a request takes; nothing if it costs nothing."""
        cost = self._cost
        if not isinstance(cost, int):
            cost = cost(request)
            if cost < 0:
                raise ValueError(f"the cost of a request is {cost}: it would give something back")
        if cost == 0:
            return ()
        name = key(request)
        kind = "ip:" if name is None or key is by_address else "key:"
        who = prefix + stored(kind, by_address(request) if name is None else name)
        token = secrets.token_hex(8) if self.holds else ""
        return [Claim(scope + who, rule, cost, token) for rule, scope in self._scoped]

    def refusal(self, request: Request, verdicts: Sequence[Verdict]) -> RateLimitedError:
        """Return the error that says which limits were met, and when to come again."""
        pairs = zip(self.rules, verdicts, strict=True)
        violated = [rule for rule, verdict in pairs if not verdict.allowed]
        seconds = max(1, whole(max(verdict.retry_after for verdict in verdicts)))
        headers = {"retry-after": str(seconds)}
        self.writer.write(request, headers, verdicts)
        return RateLimitedError(
            f"At most {' and '.join(map(str, violated))}. Try again in "
            f"{seconds} second{'' if seconds == 1 else 's'}.",
            headers=headers,
            extra={"violated-policies": [rule.name for rule in violated]},
        )


class Plans:
    """The plan of each route, made when its first request comes."""

    def __init__(self, rules: Sequence[Rule], *, cost: Cost, style: FieldStyle) -> None:
        self._rules = rules
        self._cost = cost
        self._style: FieldStyle = style
        self._general = Plan(rules, (), cost=cost, scope="", style=style)
        self._plans: dict[tuple[RouteLimits, str], Plan] = {}

    def of(self, request: Request) -> Plan:
        """Return what holds for a request."""
        route = request.route
        own = None if route is None else route.meta.get(_META)
        if route is None or not isinstance(own, RouteLimits):
            return self._general
        # Several routes may share what was said of them; each has counts of its own.
        scope = f"{route.name} {route.path} "
        plan = self._plans.get((own, scope))
        if plan is None:
            outer = () if own.exempt else self._rules
            cost = self._cost if own.cost is None else own.cost
            check_cost(cost, outer)
            plan = Plan(outer, own.rules, cost=cost, scope=scope, style=self._style)
            self._plans[own, scope] = plan
        return plan
