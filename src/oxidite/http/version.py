"""One version of an API, and when it ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from oxidite import clock
from oxidite.errors import ConfigError

__all__ = ["Version"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an API, as ``Versioning`` lists it.

    ``name`` is letters, digits and ``.``, ``-``, ``_`` between them. ``deprecated`` (RFC 9745) and
    ``sunset`` (RFC 8594) may be in the past or to come; a date is its first moment in UTC. ``grace`` are the
    seconds that it answers after its sunset. ``successor`` is the name of another version, the next
    one unless said, or a URL; ``docs`` the URL of what people should read.
    """

    name: str
    deprecated: date | None = None
    sunset: date | None = None
    grace: float = 0.0
    successor: str | None = None
    docs: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"Version({self.name!r}): a name is letters and digits, with '.', '-' or '_' in between."
            )
        begins, ends = self.deprecated_at, self.sunset_at
        if begins is not None and ends is not None and ends < begins:
            raise ConfigError(
                f"Version({self.name!r}): its sunset is before it is deprecated (RFC 9745 section 4)."
            )

    @property
    def deprecated_at(self) -> datetime | None:
        """The moment from which it should not be used any more."""
        return self._moment("deprecated", self.deprecated)

    @property
    def sunset_at(self) -> datetime | None:
        """The moment from which it is expected to be gone."""
        return self._moment("sunset", self.sunset)

    @property
    def is_deprecated(self) -> bool:
        """Whether it should not be used any more."""
        at = self.deprecated_at
        return at is not None and clock.now() >= at

    @property
    def is_over(self) -> bool:
        """Whether it does not answer any more: after its sunset and ``grace``."""
        at = self.sunset_at
        return at is not None and clock.timestamp() >= at.timestamp() + self.grace

    def _moment(self, name: str, value: date | None) -> datetime | None:
        if value is None:
            return None
        if not isinstance(value, datetime):
            return datetime.combine(value, time(), UTC)
        if value.tzinfo is None:
            raise ConfigError(
                f"Version({self.name!r}, {name}={value!r}) has no time zone: use tzinfo=UTC, or a date."
            )
        return value

    def __str__(self) -> str:
        return self.name
