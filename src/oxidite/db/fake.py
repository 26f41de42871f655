"""Made-up values for rows of tests and first data: the same ones in every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

__all__ = ["Fake"]

T = TypeVar("T")

_FIRST_NAMES = "Ada Bela Chidi Dana Emre Fatou Goran Hana Ines Jonas Kofi Lena Mira Noor Omar Petra"
_LAST_NAMES = "Abara Berg Costa Dahl Eriksen Fofana Garcia Haddad Ito Jansen Kaya Lund Meyer Novak"
_ALL_WORDS = """
amber anchor autumn basket bridge candle canvas cedar copper cotton drift ember feather field garden
glass harbor hazel island ivory kettle ladder lantern linen marble meadow mirror morning notebook
orchard paper pebble pepper quiet river saddle silver summer thread timber valley velvet willow window
"""
_FIRST, _LAST, _WORDS = _FIRST_NAMES.split(), _LAST_NAMES.split(), _ALL_WORDS.split()
_START = datetime(2026, 1, 1, tzinfo=UTC)


class Fake:
    """Makes up values out of a seed; two with one seed make the same ones."""

    def __init__(self, seed: int | str = 0) -> None:
        self.random: random.Random = random.Random(seed)
        """Where all the chance comes from."""

    def first_name(self) -> str:
        """Return a first name."""
        return self.choice(_FIRST)

    def name(self) -> str:
        """Return a first and a last name."""
        return f"{self.choice(_FIRST)} {self.choice(_LAST)}"

    def word(self) -> str:
        """Return a word in lower case."""
        return self.choice(_WORDS)

    def sentence(self, words: int = 6) -> str:
        """Return a sentence of so many words."""
        text = " ".join(self.word() for _ in range(max(1, words)))
        return f"{text.capitalize()}."

    def paragraph(self, sentences: int = 4) -> str:
        """Return so many sentences."""
        return " ".join(self.sentence(self.integer(4, 9)) for _ in range(max(1, sentences)))

    def email(self) -> str:
        """Return an address that nobody has; two may be the same: for a unique column use a sequence."""
        return f"{self.first_name().lower()}.{self.word()}{self.integer(1, 999)}@example.com"

    def integer(self, low: int = 0, high: int = 1000) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return self.random.randint(low, high)

    def boolean(self, chance: float = 0.5) -> bool:
        """Return ``True`` with this chance, from 0 to 1."""
        return self.random.random() < chance

    def moment(self, days: int = 365) -> datetime:
        """Return a moment within so many days after the beginning of 2026, in UTC, of whole seconds."""
        return _START + timedelta(seconds=self.random.randrange(days * 86_400))

    def uuid(self) -> UUID:
        """Return a random UUID (version 4)."""
        return UUID(int=self.random.getrandbits(128), version=4)

    def choice(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return self.random.choice(choices)
