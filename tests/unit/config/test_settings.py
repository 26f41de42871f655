from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, assert_type
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from oxidite.config import Duration, Secret, SettingsError, Size, load, load_with_origins
from oxidite.errors import ConfigError

Port = NewType("Port", int)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Pool(Struct, kw_only=True, frozen=True):
    size: Annotated[int, Meta(ge=1, le=100)] = 5
    timeout: Duration = 30.0


class Database(Struct, kw_only=True):
    url: str
    password: Secret[str] | None = None
    pool: Pool = Pool(size=9)


@dataclass(frozen=True, kw_only=True)
class Upstream:
    url: str
    weight: int = 1
    token: Secret[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    secret: Secret[str]
    debug: bool = False
    port: int = 8000
    database: Database
    replica: Database | None = None
    upstreams: list[Upstream] = field(default_factory=list)


def only(kind: object, **defaults: object) -> type[Any]:
    """Make a settings class with one field, ``value``."""
    fields: list[Any] = [("value", kind)]
    if "default" in defaults:
        fields = [("value", kind, field(default=defaults["default"]))]
    return dataclasses.make_dataclass("Only", fields)


def make(name: str, *fields: Any) -> type[Any]:
    return dataclasses.make_dataclass(name, fields)


def read(kind: object, text: str) -> object:
    value: object = load(only(kind), environ={"VALUE": text}).value
    return value


def refused(cls: type[object], environ: Mapping[str, str], **options: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(cls, environ=environ, **options)
    assert caught.value.message.count("\n") == len(caught.value.problems)
    # No other error, which may hold the value, is printed with it.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Write files into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        Path(name).write_text(text)
        return Path(name)

    return write


Write = Callable[[str, str], Path]
BOOL = "expected true or false (or yes, no, on, off, 1, 0)"
ENOUGH = {"SECRET": "s", "DATABASE__URL": "sqlite://"}


# Types


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, " as it is ", " as it is "),
        (str, "", ""),
        (int, "8000", 8000),
        (int, " -5 ", -5),
        (float, "1.5", 1.5),
        (float, "2", 2.0),
        (bool, "true", True),
        (bool, "No", False),
        (bool, "ON", True),
        (bool, "off", False),
        (bool, "1", True),
        (bool, "0", False),
        (bool, " yes ", True),
        (bool, "False", False),
        (Path, "/var/lib/app", Path("/var/lib/app")),
        (Decimal, "1.10", Decimal("1.10")),
        (date, "2026-03-01", date(2026, 3, 1)),
        (timedelta, "1h30m", timedelta(minutes=90)),
        (timedelta, "5", timedelta(seconds=5)),
        (Duration, "5m", 300.0),
        (Duration, "0.5", 0.5),
        (Size, "10MB", 10_000_000),
        (Size, "512", 512),
        (Color, "blue", Color.BLUE),
        (Level, "2", Level.HIGH),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (Port, "80", 80),
        (Annotated[int, Meta(ge=1)], "1", 1),
        (Annotated[Duration, Meta(gt=0)], "5m", 300.0),
        (IPv4Network, "10.0.0.0/8", IPv4Network("10.0.0.0/8")),
        (ZoneInfo, "UTC", ZoneInfo("UTC")),
        (Secret[str], "s", Secret("s")),
        (Secret[int], "5", Secret(5)),
        (Secret[Annotated[str, Meta(min_length=2)]], "ab", Secret("ab")),
        (int | None, "5", 5),
        (int | None, "", None),
        (str | None, " ", None),
        (Secret[str] | None, "", None),
        (Secret[str] | None, "s", Secret("s")),
        (Duration | None, "5m", 300.0),
        (int | str, "5", 5),
        (str | int, "5", 5),
        (str | int, "x", "x"),
        (bool | Path, "/x", Path("/x")),
        (list[str], "a, b ,c", ["a", "b", "c"]),
        (list[str], "", []),
        (list[str], "a,", ["a"]),
        (list[str], "a,,b", ["a", "", "b"]),
        (list[str], '["a,b", "c"]', ["a,b", "c"]),
        (list, "a,b", ["a", "b"]),
        (list[int], "[1, 2]", [1, 2]),
        (list[Path], "/a,/b", [Path("/a"), Path("/b")]),
        (list[Duration], "5m,1h", [300.0, 3600.0]),
        (list[bool], "yes,no", [True, False]),
        (list[int] | None, "1", [1]),
        (set[int], "1,2,1", {1, 2}),
        (frozenset[str], "a,b", frozenset({"a", "b"})),
        (tuple[int, ...], "1,2", (1, 2)),
        (tuple[str, int], "a,2", ("a", 2)),
        (Sequence[int], "1,2", (1, 2)),
        (Annotated[list[str], Meta(max_length=2)], "a,b", ["a", "b"]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Mapping[int, Duration], '{"1": "5m"}', {1: 300.0}),
        (list[Upstream], '[{"url": "x", "weight": 2}]', [Upstream(url="x", weight=2)]),
        (Secret, "s", Secret("s")),
        (object, "anything", "anything"),
    ],
)
def test_a_variable_is_read_as_the_type_of_its_field(
    kind: object, text: str, value: object
) -> None:
    found = read(kind, text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (int, "many", "expected a whole number, got 'many'"),
        (int, "", "expected a whole number, got ''"),
        (int, "1_0", "expected a whole number, got '1_0'"),
        (int, "9" * 5000, f"expected a whole number, got '{'9' * 78}…"),
        (float, "nan", "expected a finite number, got 'nan'"),
        (float, "inf", "expected a finite number, got 'inf'"),
        (bool, "2", "expected true or false (or yes, no, on, off, 1, 0), got '2'"),
        (Path, "", "expected a path, got ''"),
        (Duration, "soon", "expected a duration such as 500ms, 30s, 5m or 1h30m, got 'soon'"),
        (Duration, "-5", "expected a duration such as 500ms, 30s, 5m or 1h30m, got '-5'"),
        (timedelta, "9" * 30, "expected a duration such as 500ms, 30s, 5m or 1h30m, of at most"),
        (Size, "big", "expected a size such as 512, 64kB, 10MB or 1GiB, got 'big'"),
        (Color, "RED", "expected one of 'red', 'blue', got 'RED'"),
        (Level, "3", "expected one of 1, 2, got '3'"),
        (Literal["a", "b"], "c", "expected one of 'a', 'b', got 'c'"),
        (date, "yesterday", "expected a value for date, got 'yesterday'"),
        (IPv4Network, "10.0.0.1/8", "expected a value for IPv4Network, got '10.0.0.1/8'"),
        (Annotated[int, Meta(ge=1)], "0", "expected `int` >= 1, got '0'"),
        (Annotated[Duration, Meta(gt=0)], "0", "expected `float` > 0.0, got '0'"),
        (Annotated[list[Path], Meta(max_length=1)], "a,b", "expected `array` of length <= 1"),
        (int | None, "x", "expected a whole number, got 'x'"),
        (int | bool, "x", "expected a whole number or true or false"),
        (tuple[str, int], "a", "expected a list of 2, got 'a'"),
        (list[int], "[1", "expected a list, written as JSON, got '[1'"),
        (dict[str, int], "[1]", "expected a table, got '[1]'"),
        (dict[str, int], "a=1", "expected a table, written as JSON, got 'a=1'"),
        (int | Secret[bool], "x", "expected a whole number or true or false"),
        (int | Upstream, "x", "expected a whole number or a table"),
        (
            UUID,
            "b2",
            "expected a UUID in hexadecimal, such as 2f1c8a4e-5b7d-4c39-9e60-1a2b3c4d5e6f, got 'b2'",
        ),
        (
            bytes,
            "ab-_",
            "expected bytes in base64 (as of RFC 4648, with + and /, and = at the end), got 'ab-_'",
        ),
        (
            bytes | None,
            "a",
            "expected bytes in base64 (as of RFC 4648, with + and /, and = at the end), got 'a'",
        ),
        (memoryview, "x", "expected a value for memoryview, got 'x'"),
        (Literal[None, 1.5], "x", "its type cannot be used in settings"),
        (Annotated[Path, Meta(min_length=1)], "x", "its constraints cannot be used in settings"),
    ],
)
def test_a_variable_that_does_not_fit_is_told_with_what_was_expected(
    kind: object, text: str, problem: str
) -> None:
    (told,) = refused(only(kind), {"VALUE": text})

    assert told.startswith(f"value: {problem}")
    assert told.endswith(" [environment variable VALUE]")


def test_every_item_that_does_not_fit_is_told_with_its_place() -> None:
    assert refused(only(list[int]), {"VALUE": "1,x,3,y"}) == [
        "value.1: expected a whole number, got 'x' [environment variable VALUE]",
        "value.3: expected a whole number, got 'y' [environment variable VALUE]",
    ]
    assert refused(only(dict[str, int]), {"VALUE": '{"a": 1, "b": "x"}'}) == [
        "value.b: expected a whole number, got 'x' [environment variable VALUE]",
    ]


@given(
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers()),
)
def test_what_python_writes_is_read_back(whole: int, real: float, many: list[int]) -> None:
    assert read(int, str(whole)) == whole
    assert read(float, repr(real)) == real
    assert read(list[int], ",".join(map(str, many))) == many


# Layers


def test_settings_are_filled_from_defaults_and_variables() -> None:
    settings = load(Settings, environ={**ENOUGH, "PORT": "90"})

    assert_type(settings, Settings)
    assert settings == Settings(
        secret=Secret("s"), port=90, database=Database(url="sqlite://", pool=Pool(size=9))
    )


def test_each_layer_wins_over_the_one_before(write: Write) -> None:
    cls = only(str, default="default")
    toml = write("app.toml", "value = 'toml'")
    dotenv = write("app.env", "APP_VALUE=dotenv")
    secret = write("secret", "secret file\n")

    def value(**options: Any) -> object:
        found = load_with_origins(cls, prefix="APP_", **options)
        return found.settings.value, str(found.origins.get("value"))

    assert value(environ={}) == ("default", "None")
    assert value(environ={}, file=toml) == ("toml", "app.toml:1")
    assert value(environ={}, file=toml, dotenv=dotenv) == ("dotenv", "app.env:1 APP_VALUE")
    environ = {"APP_VALUE": "real"}
    assert value(environ=environ, file=toml, dotenv=dotenv) == (
        "real",
        "environment variable APP_VALUE",
    )
    environ["APP_VALUE_FILE"] = str(secret)
    assert value(environ=environ, file=toml, dotenv=dotenv) == (
        "secret file",
        "secret, named by APP_VALUE_FILE",
    )


def test_a_file_named_in_dotenv_does_not_override_the_environment(write: Write) -> None:
    write("secret", "from the file")
    dotenv = write("app.env", "VALUE_FILE=secret")
    cls = only(str)

    assert load(cls, environ={}, dotenv=dotenv).value == "from the file"
    assert load(cls, environ={"VALUE": "real"}, dotenv=dotenv).value == "real"


def test_what_is_given_of_a_group_is_laid_over_its_default(write: Write) -> None:
    toml = write("app.toml", "[database]\nurl = 'a'\n[database.pool]\ntimeout = '5m'")

    settings = load(Settings, environ={**ENOUGH, "DATABASE__URL": "b"}, file=toml)

    assert settings.database == Database(url="b", pool=Pool(size=9, timeout=300.0))


def test_an_optional_group_is_made_when_something_of_it_is_given() -> None:
    assert load(Settings, environ=ENOUGH).replica is None

    settings = load(Settings, environ={**ENOUGH, "REPLICA__URL": "c", "REPLICA__POOL__SIZE": "3"})

    assert settings.replica == Database(url="c", pool=Pool(size=3))


def test_dotenv_is_read_in_development_only_unless_asked(write: Write) -> None:
    write(".env", "VALUE=dotenv")
    cls = only(str, default="default")

    assert load(cls, environ={}).value == "default"
    assert load(cls, environ={"OXIDITE_ENV": "test"}).value == "default"
    assert load(cls, environ={"OXIDITE_ENV": "development"}).value == "dotenv"
    assert load(cls, environ={"OXIDITE_ENV": "development"}, dotenv=False).value == "default"
    assert load(cls, environ={}, dotenv=True).value == "dotenv"


def test_a_missing_dotenv_is_a_problem_only_if_asked_for(write: Write) -> None:
    cls = only(str, default="default")

    assert load(cls, environ={"OXIDITE_ENV": "development"}).value == "default"
    assert refused(cls, {}, dotenv=True) == [
        ".env: the file cannot be read: No such file or directory"
    ]


def test_the_process_is_read_when_no_variables_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXTEST_VALUE", "real")

    assert load(only(str), prefix="OXTEST_").value == "real"


def test_a_secret_file_keeps_all_but_its_last_newline(write: Write) -> None:
    write("secret", " a\n b \n\n")

    assert load(only(str), environ={"VALUE_FILE": "secret"}).value == " a\n b \n"


def test_a_setting_may_itself_end_in_file(write: Write) -> None:
    cls = make("Logging", ("log", str), ("log_file", Path, field(default=Path())))

    settings = load(cls, environ={"LOG": "stdout", "LOG_FILE": "/no/such/file"})

    assert settings == cls("stdout", Path("/no/such/file"))


def test_an_empty_name_of_a_secret_file_is_none() -> None:
    assert load(only(str), environ={"VALUE_FILE": "", "VALUE": "x"}).value == "x"


# TOML


def test_a_table_of_a_shared_file_can_be_named(write: Write) -> None:
    file = write("pyproject.toml", "[project]\nname = 'x'\n[tool.shop]\nvalue = 5\nvalu = 6")

    assert refused(only(int), {}, file=file, table="tool.shop") == [
        "valu: is not a setting; did you mean 'value'? [pyproject.toml:5]"
    ]
    assert refused(only(int), {}, file=file, table="tool.shp") == [
        "pyproject.toml: has no table [tool.shp]"
    ]


def test_values_of_a_file_have_a_type_and_must_fit(write: Write) -> None:
    kinds = {"a": int, "b": bool, "c": str, "d": float, "e": Duration, "f": list[int]}
    cls = make("Typed", *kinds.items())
    file = write("app.toml", "a = '1'\nb = 1\nc = 2\nd = nan\n\ne = -1\nf = '1,2'")

    assert refused(cls, {}, file=file) == [
        "a: expected a whole number, got '1' [app.toml:1]",
        "b: expected true or false (or yes, no, on, off, 1, 0), got 1 [app.toml:2]",
        "c: expected text, got 2 [app.toml:3]",
        "d: expected a finite number, got nan [app.toml:4]",
        "e: expected a duration such as 500ms, 30s, 5m or 1h30m, got -1 [app.toml:6]",
        "f: expected a list, got '1,2' [app.toml:7]",
    ]


def test_a_file_may_hold_everything_a_setting_can_be(write: Write) -> None:
    cls = make(
        "Rich",
        *[
            ("a", float),
            ("b", Duration),
            ("c", Size),
            ("d", Path),
            ("e", date),
            ("f", timedelta),
            ("g", Secret[str]),
            ("h", int | str | None),
            ("i", list[Upstream]),
            ("j", dict[str, list[int]]),
            ("k", Color),
            ("l", bool),
        ],
    )
    file = write(
        "app.toml",
        """
        a = 1
        b = "5m"
        c = "1kB"
        d = "/x"
        e = 2026-03-01
        f = 60
        g = "s"
        h = "5"
        i = [{ url = "u", weight = 2 }]
        j = { x = [1, 2] }
        k = "red"
        l = true
        """,
    )

    assert load(cls, environ={}, file=file) == cls(
        1.0,
        300.0,
        1000,
        Path("/x"),
        date(2026, 3, 1),
        timedelta(minutes=1),
        Secret("s"),
        "5",
        [Upstream(url="u", weight=2)],
        {"x": [1, 2]},
        Color.RED,
        True,
    )


def test_a_value_where_a_group_belongs_is_told(write: Write) -> None:
    file = write("app.toml", "database = 'sqlite://:hunter2@'\n")

    told = refused(Settings, ENOUGH, file=file)

    assert told == ["database: expected a table [app.toml:1]"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\na =\n", "app.toml:2"),
        ("a = ", "app.toml"),
        ("[a]\n[a]\n", "app.toml:2"),
        ("a = " + "[" * 5000, "app.toml"),
    ],
)
def test_a_file_that_is_not_toml_is_told_with_its_line(write: Write, text: str, place: str) -> None:
    (told,) = refused(only(int), {}, file=write("app.toml", text))

    assert told.startswith(f"{place}: is not TOML: ")


def test_a_file_that_cannot_be_read_is_told(write: Write, tmp_path: Path) -> None:
    write("latin.toml", "")
    Path("latin.toml").write_bytes(b"a = '\xe9'")
    write("large.toml", "#" * 1_000_001)

    assert refused(only(int), {}, file="none.toml") == [
        "none.toml: the file cannot be read: No such file or directory"
    ]
    assert refused(only(int), {}, file=".") == [".: the file cannot be read: Is a directory"]
    assert refused(only(int), {}, file="latin.toml") == [
        "latin.toml: the file is not text in UTF-8"
    ]
    assert refused(only(int), {}, file="large.toml") == [
        "large.toml: the file is larger than 1000000 bytes"
    ]


# Everything that is wrong


def test_all_problems_are_told_at_once(write: Write) -> None:
    file = write(
        "app.toml",
        """\
debgu = true
port = "x"
[database]
poool = 1
[[upstreams]]
weight = "heavy"
[[upstreams]]
url = "u"
""",
    )
    dotenv = write(".env", "\nAPP_DATABASE__POOL__SIZE=200\nAPP_PROT=1")

    url = "APP_DATABASE__URL"
    with pytest.raises(SettingsError) as caught:
        load(
            Settings,
            prefix="APP_",
            file=file,
            dotenv=dotenv,
            environ={"APP_DEBUG": "maybe", "OTHER": "x"},
        )

    assert caught.value.message.split("\n  ") == [
        "The settings have 10 problems:",
        "secret: is required: set APP_SECRET, APP_SECRET_FILE or secret in app.toml",
        f"debug: {BOOL}, got 'maybe' [environment variable APP_DEBUG]",
        "port: expected a whole number, got 'x' [app.toml:2]",
        f"database.url: is required: set {url}, {url}_FILE or database.url in app.toml",
        "database.pool.size: expected `int` <= 100, got '200' [.env:2 APP_DATABASE__POOL__SIZE]",
        "database.poool: is not a setting; did you mean 'pool'? [app.toml:4]",
        "upstreams.0.url: is required [app.toml:5]",
        "upstreams.0.weight: expected a whole number [app.toml:5]",
        "debgu: is not a setting; did you mean 'debug'? [app.toml:1]",
        "APP_PROT: is not a setting; did you mean 'APP_PORT'? [.env:3 APP_PROT]",
    ]


def test_every_missing_value_of_a_group_is_named() -> None:
    assert refused(Settings, {"REPLICA__PASSWORD": "x"}) == [
        "secret: is required: set SECRET or SECRET_FILE",
        "database.url: is required: set DATABASE__URL or DATABASE__URL_FILE",
        "replica.url: is required: set REPLICA__URL or REPLICA__URL_FILE",
    ]


def test_every_source_that_cannot_be_read_is_told_and_nothing_else(write: Write) -> None:
    file = write("app.toml", "a =")
    dotenv = write("app.env", "x\ny")

    told = refused(Settings, {"SECRET_FILE": "/no/such"}, file=file, dotenv=dotenv)

    assert told == [
        "app.toml: is not TOML: Invalid value (at end of document)",
        "app.env:1: expected NAME=value, or a comment after #",
        "app.env:2: expected NAME=value, or a comment after #",
    ]
    assert refused(Settings, {"SECRET_FILE": "/no/such"}) == [
        "SECRET_FILE: the file '/no/such' cannot be read: No such file or directory"
    ]


def test_unknown_variables_are_told_only_under_a_prefix() -> None:
    cls = only(int)

    assert load(cls, environ={"VALUE": "1", "VALEU": "2"}).value == 1
    assert refused(cls, {"A_VALUE": "1", "A_VALEU": "2", "B_X": "3"}, prefix="A_") == [
        "A_VALEU: is not a setting; did you mean 'A_VALUE'? [environment variable A_VALEU]"
    ]


def test_unknown_variables_of_somebody_else_can_be_ignored() -> None:
    environ = {"A_VALUE": "1", "A_CI_JOB": "2", "A_CI_URL": "3"}

    assert load(only(int), environ=environ, prefix="A_", ignore=["A_CI_*"]).value == 1
    assert len(refused(only(int), environ, prefix="A_", ignore=["A_CI_J*"])) == 1


def test_what_kubernetes_sets_for_services_is_no_mistake() -> None:
    links = {
        "APP_SERVICE_HOST": "10.0.0.1",
        "APP_SERVICE_PORT": "80",
        "APP_SERVICE_PORT_HTTP": "80",
        "APP_PORT": "tcp://10.0.0.1:80",
        "APP_PORT_80_TCP": "tcp://10.0.0.1:80",
        "APP_PORT_80_TCP_ADDR": "10.0.0.1",
        "APP_WEB_SERVICE_HOST": "10.0.0.2",
    }

    assert load(only(int), environ={"APP_VALUE": "1", **links}, prefix="APP_").value == 1


def test_the_frameworks_own_variable_is_no_mistake() -> None:
    environ = {"OXIDITE_VALUE": "1", "OXIDITE_ENV": "production"}

    assert load(only(int), environ=environ, prefix="OXIDITE_").value == 1


# Secrets


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Secret[int], "value"),
        (Secret[Annotated[str, Meta(min_length=20)]], "value"),
        (Secret[int] | None, "value"),
        (Secret[Literal["a"]], "value"),
        (list[Secret[int]], "value"),
        (dict[str, Secret[int]], "value"),
        (int, "password"),
        (int, "api_key"),
        (list[int], "tokens"),
    ],
)
@pytest.mark.parametrize("text", ["hunter2", '["hunter2"]', '{"a": "hunter2"}', "[hunter2"])
def test_the_value_of_a_secret_is_in_no_message(
    write: Write, kind: object, name: str, text: str
) -> None:
    cls = make("Hidden", (name, kind))

    from_variable = refused(cls, {name.upper(): text})
    from_file = refused(cls, {}, file=write("app.toml", f"{name} = [[['hunter2']]]"))

    assert "hunter2" not in "".join(from_variable + from_file)
    assert f"environment variable {name.upper()}" in from_variable[0]


def test_the_value_of_a_misspelt_name_is_in_no_message(write: Write) -> None:
    file = write("app.toml", "valeu = 'hunter2'")

    told = refused(only(int), {"A_VALUE": "1", "A_SECRTE": "hunter2"}, prefix="A_", file=file)

    assert len(told) == 2
    assert "hunter2" not in "".join(told)


def test_the_password_of_a_url_is_in_no_message() -> None:
    (told,) = refused(only(int), {"VALUE": "postgresql://app:hun/t@er2@db/app"})

    assert "'postgresql://***@db/app'" in told


def test_a_class_that_refuses_its_own_values_is_told_without_its_secrets() -> None:
    (told,) = refused(Checked, {"PASSWORD": "hunter2", "LIMIT": "5"})

    assert told == "Checked: ********** is as weak as 5"
    assert refused(Holder, {"CHECKED__PASSWORD": "hunter2", "CHECKED__LIMIT": "5"}) == [
        "checked: ********** is as weak as 5"
    ]


@dataclass
class Checked:
    password: Secret[str]
    limit: int

    def __post_init__(self) -> None:
        raise ValueError(f"{self.password.reveal()} is as weak as {self.limit}")


@dataclass
class Holder:
    checked: Checked


# Where values came from


def test_every_value_is_shown_with_its_origin_and_secrets_are_masked(write: Write) -> None:
    file = write("app.toml", "[database]\nurl = 'mysql://a:hunter2@db'\n[[upstreams]]\nurl = 'u'\n")
    environ = {"SECRET": "hunter2", "PORT": "90", "DATABASE__PASSWORD": "hunter2"}

    loaded = load_with_origins(Settings, environ=environ, file=file)

    assert [(row.name, row.value, str(row.origin)) for row in loaded.rows()] == [
        ("secret", "**********", "environment variable SECRET"),
        ("debug", "False", "default"),
        ("port", "90", "environment variable PORT"),
        ("database.url", "'mysql://***@db'", "app.toml:2"),
        ("database.password", "**********", "environment variable DATABASE__PASSWORD"),
        ("database.pool.size", "9", "default"),
        ("database.pool.timeout", "30.0", "default"),
        ("replica", "None", "default"),
        ("upstreams", "**********", "app.toml:3"),
    ]
    assert loaded.origins["port"].kind == "environment"
    assert loaded.origins["database.url"].kind == "toml"
    assert "hunter2" not in repr(loaded.settings.secret)


# What cannot be a settings class


class Tree(Struct):
    name: str = ""
    left: Tree | None = None


def test_a_group_inside_itself_is_read_as_one_value() -> None:
    settings = load(Tree, environ={"LEFT": '{"name": "a", "left": {"name": "b"}}'})

    assert settings == Tree(left=Tree("a", Tree("b")))


def test_settings_are_a_dataclass_or_a_struct() -> None:
    with pytest.raises(ConfigError, match="neither"):
        load(dict, environ={})


def test_types_that_cannot_be_resolved_are_told() -> None:
    @dataclass
    class Local:
        value: Missing  # type: ignore[name-defined]  # noqa: F821  # what the test is about

    with pytest.raises(ConfigError, match=r"Local.*'Missing'.*top level"):
        load(Local, environ={})


def test_two_fields_with_one_variable_are_refused() -> None:
    inner = make("Inner", ("b", int))
    outer = make("Outer", ("a", inner), ("a__b", int))

    with pytest.raises(ConfigError, match=r"a\.b and a__b would both be read from A__B"):
        load(outer, environ={})


def test_fields_that_are_not_the_constructors_are_left_alone() -> None:
    cls = make("Derived", ("a", int), ("b", int, field(init=False, default=7)))

    assert load(cls, environ={"A": "1", "B": "2"}).b == 7
