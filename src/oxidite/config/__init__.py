"""Configuration: typed settings out of files and the environment, and the only reader of both.

::

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        secret: Secret[str]
        debug: bool = False
        session_ttl: Duration = 3600.0
        database_url: str = "sqlite:///app.db"

    settings = load(Settings, prefix="APP_", file="oxidite.toml")

A value comes from the last of these that has it: the class's default, the TOML file, ``.env``
(in development), the environment (``APP_DATABASE_URL``; ``APP_CACHE__TTL`` for ``cache.ttl``), the
file that ``APP_DATABASE_URL_FILE`` names. One value alone is ``env("DATABASE_URL", "sqlite://")``.
"""

from __future__ import annotations

from oxidite.config.environment import Environment, environment
from oxidite.config.problems import Problem, SettingsError
from oxidite.config.secret import Secret
from oxidite.config.settings import Loaded, Row, load, load_with_origins
from oxidite.config.sources import Dotenv, Origin
from oxidite.config.units import Duration, Size, parse_duration, parse_size
from oxidite.config.variables import env

__all__ = [
    "Dotenv",
    "Duration",
    "Environment",
    "Loaded",
    "Origin",
    "Problem",
    "Row",
    "Secret",
    "SettingsError",
    "Size",
    "env",
    "environment",
    "load",
    "load_with_origins",
    "parse_duration",
    "parse_size",
]
