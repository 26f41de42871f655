"""What a URL of Redis says."""

from __future__ import annotations

import pytest

from oxidite.drivers.redis import RedisOptions
from oxidite.errors import ConfigError


def read(url: str) -> RedisOptions:
    options, rest = RedisOptions.from_url(url)
    assert rest == {}
    return options


def test_a_url_may_say_nothing() -> None:
    assert read("redis://") == RedisOptions(host="localhost", port=6379, db=0)


def test_a_url_may_say_everything() -> None:
    options = read(
        "rediss://some%20body:p%40ss%2F@[::1]:7000/3?timeout=0.5&connect_timeout=1&max_pending=10"
        "&max_unsent=1000&name=shop&sslmode=verify-ca&sslrootcert=/a&sslcert=/b&sslkey=/c"
    )
    assert (options.username, options.password) == ("some body", "p@ss/")
    assert (options.host, options.port, options.db, options.tls) == ("::1", 7000, 3, True)
    assert (options.timeout, options.connect_timeout) == (0.5, 1.0)
    assert (options.max_pending, options.max_unsent, options.name) == (10, 1000, "shop")
    assert (options.sslmode, options.sslrootcert) == ("verify-ca", "/a")
    assert (options.sslcert, options.sslkey) == ("/b", "/c")


def test_a_password_may_be_alone() -> None:
    options = read("redis://:secret@host")
    assert (options.username, options.password) == ("", "secret")


def test_a_socket_is_a_path() -> None:
    options = read("redis+unix:///run/redis%20a.sock?db=2")
    assert (options.socket, options.db) == ("/run/redis a.sock", 2)
    assert options.place == "redis+unix:///run/redis a.sock?db=2"


def test_options_of_others_are_left_to_them() -> None:
    _, rest = RedisOptions.from_url("redis://h?prefix=a%20b&timeout=1", others=["prefix"])
    assert rest == {"prefix": "a b"}


def test_what_is_shown_holds_no_password() -> None:
    options = read("redis://user:secret@host:1/2")
    assert options.place == "redis://host:1/2"
    assert "secret" not in f"{options!r} {options}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h?timeot=1", "Did you mean timeout"),
        ("redis://h?password=1", "nobody knows"),
        ("redis://h?host=other", "nobody knows"),
        ("redis://h?timeout=0", "more than 0"),
        ("redis://h?timeout=-1", "zero or more"),
        ("redis://h?timeout=nan", "zero or more"),
        ("redis://h?max_pending=1.5", "whole number"),
        ("redis://h/one", "whole number"),
        ("redis://h/-1", "whole number"),
        ("redis://h/99999999", "no number of a Redis database"),
        ("redis://h:port", "Port could not"),
        ("redis://h?sslmode=require", "rediss"),
        ("rediss://h?sslmode=disable", "none of"),
        ("redis+unix://", "names no socket"),
        ("redis+sentinel://h", "not supported"),
        ("http://h", "begins with"),
    ],
)
def test_what_makes_no_sense_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(url)


@pytest.mark.parametrize(
    "url", ["redis://:secret@h:port", "redis://:secret@h?x=1", "redis+sentinel://:secret@h"]
)
def test_an_error_of_a_url_holds_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(url)
    assert "secret" not in str(caught.value)
