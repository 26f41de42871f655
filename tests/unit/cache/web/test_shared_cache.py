"""What is expected of a shared cache, one case after the other: RFC 9111, 5861, 9110, 9211, 9213, 9875."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.cache.web.origin import Step, ask, hit, play

FRESH = {"cache-control": "max-age=60"}
STALE_BY = 61

Case = tuple[str, tuple[Step, ...], dict[str, Any]]


def case(name: str, /, *steps: Step, **options: Any) -> Case:
    return name, steps, options


def kept(name: str, answer: Any, **first: Any) -> Case:
    """An answer that the next request gets, too."""
    return case(name, ask(answer, **first), hit())


def not_kept(name: str, answer: Any, **first: Any) -> Case:
    """An answer that the next request does not get."""
    return case(name, ask(answer, **first), ask(answer))


def until(name: str, answer: Any, seconds: int, **options: Any) -> Case:
    """An answer that is good for so many seconds and no longer."""
    steps = (ask(answer), hit(wait=seconds - 2), ask(answer, wait=3))
    return case(name, *steps, **options)


def freshness() -> Iterator[Case]:
    yield until("max-age", {"cache-control": "max-age=60"}, 60)
    yield until("s-maxage", {"cache-control": "s-maxage=60"}, 60)
    yield until("s-maxage is before max-age", {"cache-control": "max-age=5, s-maxage=60"}, 60)
    yield until(
        "s-maxage is before max-age, shorter", {"cache-control": "max-age=90, s-maxage=9"}, 9
    )
    yield until("Expires", {"expires": "{now+60}"}, 60)
    yield until("Expires counts from Date", {"expires": "{now+60}", "date": "{now}"}, 60)
    yield until(
        "max-age is before Expires", {"cache-control": "max-age=60", "expires": "{now+9}"}, 60
    )
    yield until("max-age is before Expires in the past", {**FRESH, "expires": "{now-100}"}, 60)
    yield not_kept("Expires in the past", {"expires": "{now-10}"})
    for value in ("0", "-1", "tomorrow", "Thu, 99 Nov 2026 00:00:00 GMT", ""):
        yield not_kept(f"Expires: {value!r} is in the past", {"expires": value})
    yield not_kept("max-age=0", {"cache-control": "max-age=0"})
    yield not_kept("s-maxage=0 with max-age", {"cache-control": "max-age=60, s-maxage=0"})
    yield not_kept("max-age=0 with Expires", {"cache-control": "max-age=0", "expires": "{now+60}"})
    for value in ("-1", "abc", "1.5", "", "0x3c", "٣٠", " 60"):
        encoded = value.encode("ascii", "ignore").decode() or "x"
        yield not_kept(f"max-age={value!r} cannot be read", {"cache-control": f"max-age={encoded}"})
    yield kept("a max-age in quotes", {"cache-control": 'max-age="60"'})
    yield kept("MAX-AGE in capitals", {"cache-control": "MAX-AGE=60"})
    yield kept("a max-age beyond all numbers", {"cache-control": f"max-age={'9' * 500}"})
    yield kept("max-age=2147483649", {"cache-control": "max-age=2147483649"})
    yield until("of two the first max-age counts", {"cache-control": "max-age=9, max-age=60"}, 9)
    yield until(
        "several fields are one", [("cache-control", "public"), ("cache-control", "max-age=60")], 60
    )
    yield until("empty members are nothing", {"cache-control": ",, max-age=60 , ,"}, 60)
    yield until("what is not known is nothing", {"cache-control": "x-y, max-age=60, z=1"}, 60)
    yield kept(
        "a directive in quotes is none", {"cache-control": 'x="no-store, private", max-age=60'}
    )
    yield until("an Age of before counts", {**FRESH, "age": "40"}, 20)
    yield not_kept("an Age of more than its time", {**FRESH, "age": "61"})
    yield until("of several Ages the first counts", {**FRESH, "age": "50, 1"}, 10)
    yield kept("an Age that cannot be read is none", {**FRESH, "age": "abc"})
    yield until("a Date of before counts", {**FRESH, "date": "{now-40}"}, 20)
    yield kept("a Date ahead makes nothing older", {**FRESH, "date": "{now+40}"})
    yield kept("a Date that cannot be read is none", {**FRESH, "date": "yesterday"})
    yield not_kept("nothing that says for how long", {})
    yield not_kept("public alone says nothing of time", {"cache-control": "public"})
    yield not_kept("a Last-Modified is no time", {"last-modified": "{now-100000}"})


def heuristics() -> Iterator[Case]:
    modified = {"last-modified": "{now-1000}"}
    on: dict[str, Any] = {"heuristic": True}
    yield until("a tenth of the time since it was changed", modified, 100, **on)
    yield case("at most a day", ask({"last-modified": "{now-99999999}"}), ask(wait=86402), **on)
    yield case("nothing without a Last-Modified", ask({}), ask({}), **on)
    for status in (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501):
        yield case(f"status {status} may be guessed", ask(modified, status=status), hit(), **on)
    for status in (201, 202, 302, 303, 307, 403, 500, 503, 599):
        yield case(f"status {status} may not", ask(modified, status=status), ask(modified), **on)
    yield case(
        "unless it is public",
        ask({**modified, "cache-control": "public"}, status=403),
        hit(),
        **on,
    )
    yield case("one of the future", ask({"last-modified": "{now+100}"}), ask({}), **on)


def statuses() -> Iterator[Case]:
    for status in (200, 201, 203, 204, 301, 302, 303, 307, 308, 400, 403, 404, 410, 451, 500, 599):
        yield kept(f"status {status} that says for how long", FRESH, status=status)
    yield not_kept("a part", {**FRESH, "content-range": "bytes 0-3/9"}, status=206)
    yield not_kept("a 304 of the origin", FRESH, status=304)
    yield kept(
        "must-understand of a status that is",
        {"cache-control": "must-understand, no-store, max-age=60"},
    )
    yield not_kept(
        "must-understand of one that is not",
        {"cache-control": "must-understand, max-age=60"},
        status=299,
    )


def directives() -> Iterator[Case]:
    for name in ("no-store", "private", 'private="x-a"', "No-Store", "no-cache", 'no-cache="x-a"'):
        yield not_kept(f"{name} of the answer", {"cache-control": f"{name}, max-age=60"})
        yield not_kept(f"{name} after the time", {"cache-control": f"max-age=60, {name}"})
    yield not_kept("private with s-maxage", {"cache-control": "private, s-maxage=60"})
    yield not_kept(
        "private in a field of its own",
        [("cache-control", "max-age=60"), ("cache-control", "private")],
    )
    yield kept("public with a time", {"cache-control": "public, max-age=60"})
    yield kept("a Pragma of the answer is nothing", {**FRESH, "pragma": "no-cache"})
    yield not_kept("a cookie that is set", {**FRESH, "set-cookie": "a=1"})
    yield not_kept(
        "a cookie that is set publicly",
        {"cache-control": "public, max-age=60", "set-cookie": "a=1"},
    )
    yield case(
        "a stale one is not served",
        ask({"cache-control": "max-age=2, must-revalidate", "etag": '"a"'}),
        ask(wait=3, send={"cache-control": "max-stale=100"}),
    )


def authorization() -> Iterator[Case]:
    send = {"authorization": "Basic YTpi"}
    yield not_kept("what was authorized", FRESH, send=send)
    yield not_kept("with Expires", {"expires": "{now+60}"}, send=send)
    for name in ("public", "must-revalidate", "s-maxage=60"):
        yield kept(
            f"what was authorized and is {name}",
            {"cache-control": f"max-age=60, {name}"},
            send=send,
        )
    yield not_kept(
        "proxy-revalidate is not enough",
        {"cache-control": "max-age=60, proxy-revalidate"},
        send=send,
    )
    yield case("who is authorized gets what is for all", ask(FRESH), hit(send=send))
    yield case("and nothing of what was not kept is left", ask(FRESH, send=send), ask(FRESH), hit())


def requests() -> Iterator[Case]:
    def asks(name: str, send: Any, *, wait: int = 10, answer: Any = FRESH) -> Case:
        return case(name, ask(answer), ask(answer, wait=wait, send=send))

    def gets(name: str, send: Any, *, wait: int = 10, answer: Any = FRESH, **more: Any) -> Case:
        return case(name, ask(answer), hit(wait=wait, send=send), **more)

    yield asks("no-cache", {"cache-control": "no-cache"})
    yield asks("Pragma: no-cache", {"pragma": "no-cache"})
    yield gets("Pragma beside Cache-Control", {"pragma": "no-cache", "cache-control": "x"})
    yield asks("max-age=0", {"cache-control": "max-age=0"})
    yield asks("a max-age that is passed", {"cache-control": "max-age=5"})
    yield gets("a max-age that is not", {"cache-control": "max-age=30"})
    yield asks(
        "a max-age that an Age has passed",
        {"cache-control": "max-age=30"},
        answer={**FRESH, "age": "25"},
    )
    yield gets("a min-fresh that is there", {"cache-control": "min-fresh=30"})
    yield asks("a min-fresh that is not", {"cache-control": "min-fresh=55"})
    yield asks(
        "a min-fresh that an Age took",
        {"cache-control": "min-fresh=30"},
        answer={**FRESH, "age": "30"},
    )
    keeps = {**FRESH, "etag": '"a"'}
    yield gets("max-stale of any time", {"cache-control": "max-stale"}, wait=99, answer=keeps)
    yield gets(
        "a max-stale that is enough", {"cache-control": "max-stale=50"}, wait=99, answer=keeps
    )
    yield asks("one that is not", {"cache-control": "max-stale=30"}, wait=99, answer=keeps)
    for name in ("must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"):
        answer = {"cache-control": f"max-age=60, {name}", "etag": '"a"'}
        yield asks(
            f"max-stale against {name}", {"cache-control": "max-stale"}, wait=99, answer=answer
        )
    yield gets("no-store of the request is served", {"cache-control": "no-store"})
    yield case("but not kept", ask(FRESH, send={"cache-control": "no-store"}), ask(FRESH), hit())
    yield gets("only-if-cached of what is", {"cache-control": "only-if-cached"})
    yield case(
        "only-if-cached of what is not", hit(send={"cache-control": "only-if-cached"}, shows=504)
    )
    yield case(
        "only-if-cached of what is stale",
        ask(FRESH),
        hit(wait=61, send={"cache-control": "only-if-cached"}, shows=504),
    )
    yield case(
        "what a reload brought is for all",
        ask(FRESH, body="old"),
        ask(FRESH, body="new", send={"cache-control": "no-cache"}),
        hit(body="new"),
    )
    yield gets(
        "none of it where requests are not obeyed",
        {"cache-control": "no-cache"},
        obey_requests=False,
    )
    yield gets("Cookie of a request", {"cookie": "a=1"})
    yield gets("a request of HEAD", {}, wait=1)
    yield case(
        "HEAD gets what GET made", ask(FRESH), hit(method="HEAD", has={"content-length": "8"})
    )
    yield case("HEAD makes nothing", ask(FRESH, method="HEAD"), ask(FRESH), hit())


def keys() -> Iterator[Case]:
    yield case("another path", ask(FRESH), ask(FRESH, path="/y"))
    yield case("another query", ask(FRESH, path="/x?a=1"), ask(FRESH, path="/x?a=2"), ask(FRESH))
    yield case("the query in another order", ask(FRESH, path="/x?a=1&b=2"), hit(path="/x?b=2&a=1"))
    yield case(
        "one name twice in another order",
        ask(FRESH, path="/x?a=1&a=2"),
        ask(FRESH, path="/x?a=2&a=1"),
    )
    yield case("an empty query is none", ask(FRESH), hit(path="/x?"))
    yield case(
        "a question mark in the path", ask(FRESH, path="/x%3Fa=1"), ask(FRESH, path="/x?a=1")
    )
    yield case("one at the end", ask(FRESH, path="/x%3Fa"), ask(FRESH, path="/x?a?"))
    yield case("another host", ask(FRESH), ask(FRESH, send={"host": "other.example"}))
    yield case(
        "a host in capitals",
        ask(FRESH, send={"host": "a.example"}),
        hit(send={"host": "A.EXAMPLE"}),
    )
    yield case(
        "a parameter that is ignored",
        ask(FRESH, path="/x?utm_source=a&id=1"),
        hit(path="/x?id=1&utm_source=b"),
        ask(FRESH, path="/x?id=2"),
        ignore_query=["utm_source"],
    )


def vary() -> Iterator[Case]:
    by_a = {**FRESH, "vary": "x-a"}
    one, two = {"x-a": "1"}, {"x-a": "2"}
    yield case("the same", ask(by_a, send=one), hit(send=one))
    yield case("another value", ask(by_a, send=one), ask(by_a, send=two))
    yield case("none where there was one", ask(by_a, send=one), ask(by_a))
    yield case("one where there was none", ask(by_a), ask(by_a, send=one))
    yield case("none twice", ask(by_a), hit())
    yield case("none and an empty one", ask(by_a), ask(by_a, send={"x-a": ""}))
    yield case(
        "several at the same time",
        ask(by_a, send=one, body="1"),
        ask(by_a, send=two, body="2"),
        hit(send=one, body="1"),
        hit(send=two, body="2"),
    )
    yield case("another field", ask(by_a, send=one), hit(send={**one, "x-b": "9"}))
    yield case("spaces are nothing", ask(by_a, send={"x-a": "1, 2"}), hit(send={"x-a": "1,2"}))
    yield case(
        "lines are one list",
        ask(by_a, send=[("x-a", "1"), ("x-a", "2")]),
        hit(send={"x-a": "1, 2"}),
    )
    yield case("another order", ask(by_a, send={"x-a": "1, 2"}), ask(by_a, send={"x-a": "2, 1"}))
    for value in ("*", "*, x-a", "x-a, *"):
        yield not_kept(f"Vary: {value}", {**FRESH, "vary": value})
    both = {**FRESH, "vary": "X-A, x-b"}
    send = {"x-a": "1", "x-b": "2"}
    yield case(
        "two fields", ask(both, send=send), hit(send=send), ask(both, send={**send, "x-b": "3"})
    )
    yield case(
        "two lines of Vary",
        ask([*FRESH.items(), ("vary", "x-a"), ("vary", "x-b")], send=send),
        hit(send=send),
        ask(both, send={**send, "x-a": "3"}),
    )
    yield case(
        "one that is said only sometimes",
        ask(by_a, send=one, body="1"),
        ask(FRESH, send=two, body="2"),
        hit(send=one, body="1"),
        hit(send=two, body="2"),
    )
    yield not_kept(
        "more fields than anybody needs", {**FRESH, "vary": ",".join(f"x-{n}" for n in range(17))}
    )


def validators() -> Iterator[Case]:
    tagged = {**FRESH, "etag": '"a"'}
    for sent, shows in (
        ('"a"', 304),
        ('W/"a"', 304),
        ('"b", "a"', 304),
        ("*", 304),
        ('"b"', 200),
        ("a", 200),
    ):
        yield case(
            f"If-None-Match: {sent}", ask(tagged), hit(send={"if-none-match": sent}, shows=shows)
        )
    yield case(
        "a 304 has its fields",
        ask({**tagged, "x-y": "1"}),
        hit(
            send={"if-none-match": '"a"'},
            shows=304,
            has={"etag": '"a"', "cache-control": "max-age=60"},
        ),
    )
    dated = {**FRESH, "last-modified": "{now-100}"}
    yield case(
        "If-Modified-Since later",
        ask(dated),
        hit(send={"if-modified-since": "{now-50}"}, shows=304),
    )
    yield case(
        "If-Modified-Since the same",
        ask(dated),
        hit(send={"if-modified-since": "{now-100}"}, shows=304),
    )
    yield case(
        "If-Modified-Since before",
        ask(dated),
        hit(send={"if-modified-since": "{now-150}"}, shows=200),
    )
    yield case(
        "If-None-Match is before If-Modified-Since",
        ask({**dated, "etag": '"a"'}),
        hit(send={"if-none-match": '"b"', "if-modified-since": "{now}"}, shows=200),
    )
    yield case(
        "the whole is asked for, and kept",
        ask(tagged, send={"if-none-match": '"a"'}, asked={"if-none-match": "-"}, shows=304),
        hit(),
    )
    for name in ("if-match", "if-unmodified-since"):
        yield case(f"{name} is for the origin", ask(tagged), ask(tagged, send={name: '"a"'}))
    yield case(
        "what is stale is asked for by its tag",
        ask(tagged, body="same"),
        ask(FRESH, wait=61, status=304, asked={"if-none-match": '"a"'}, shows=200),
        hit(body="same", wait=50),
    )
    yield case(
        "what is stale is asked for by its date",
        ask({**FRESH, "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}),
        ask(
            FRESH,
            wait=61,
            status=304,
            shows=200,
            asked={"if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"},
        ),
        hit(),
    )
    yield case(
        "a 304 renews fields",
        ask({**tagged, "x-y": "1"}),
        ask({**FRESH, "x-y": "2"}, wait=61, status=304, shows=200, has={"x-y": "2"}),
        hit(has={"x-y": "2", "etag": '"a"'}),
    )
    yield case(
        "and not what the body is",
        ask({**tagged, "content-type": "text/css"}),
        ask(
            {**FRESH, "content-type": "text/html"},
            wait=61,
            status=304,
            shows=200,
            has={"content-type": "text/css"},
        ),
    )
    yield case(
        "a whole answer takes its place",
        ask(tagged, body="old"),
        ask({**FRESH, "etag": '"b"'}, wait=61, body="new"),
        hit(body="new"),
    )
    yield case(
        "a 304 for the client, too, if it has that already",
        ask(tagged),
        ask(FRESH, wait=61, status=304, send={"if-none-match": '"a"'}, shows=304),
    )
    yield case(
        "no-cache is asked for each time, by its tag",
        ask({"cache-control": "no-cache", "etag": '"a"'}, body="same"),
        ask({"cache-control": "no-cache"}, status=304, asked={"if-none-match": '"a"'}, shows=200),
        ask({"cache-control": "no-cache"}, status=304, asked={"if-none-match": '"a"'}, shows=200),
    )
    yield case(
        "only for so long", ask(tagged), ask(tagged, wait=75, asked={"if-none-match": "-"}), keep=10
    )


def stale() -> Iterator[Case]:
    swr = {"cache-control": "max-age=60, stale-while-revalidate=30"}
    # The answer that is made behind reaches the origin: the step is no hit, and gets the old one.
    yield case(
        "while it is made anew",
        ask(swr, body="old"),
        ask(swr, body="new", wait=70, has={"age": "70"}),
        hit(body="new"),
    )
    yield case("not after its window", ask(swr), ask(swr, wait=91, has={"age": "-"}))
    for name in ("must-revalidate", "proxy-revalidate", "no-cache"):
        answer = {"cache-control": f"max-age=60, {name}, stale-while-revalidate=99", "etag": '"a"'}
        yield case(f"not with {name}", ask(answer), ask(answer, wait=70, has={"age": "-"}))
    yield case(
        "not if the client wants it newer",
        ask(swr),
        ask(swr, wait=70, send={"cache-control": "max-age=10"}, has={"age": "-"}),
    )
    sie = {"cache-control": "max-age=60, stale-if-error=30"}
    for status in (500, 502, 503, 504):
        yield case(
            f"if there is a {status}",
            ask(sie, body="old"),
            ask(wait=70, status=status, shows=200, has={"age": "70"}),
        )
    for status in (400, 404, 410):
        yield case(
            f"not if there is a {status}", ask(sie), ask(wait=70, status=status, shows=status)
        )
    yield case("not after that window", ask(sie), ask(wait=91, status=503, shows=503))
    yield case(
        "not if it is not said", ask({**FRESH, "etag": '"a"'}), ask(wait=70, status=503, shows=503)
    )
    must = {"cache-control": "max-age=60, must-revalidate, stale-if-error=99", "etag": '"a"'}
    yield case("not if it must be asked for", ask(must), ask(wait=70, status=503, shows=503))
    yield case(
        "if the client says so",
        ask({**FRESH, "etag": '"a"'}),
        ask(wait=70, status=503, shows=200, send={"cache-control": "stale-if-error=30"}),
    )


def invalidation() -> Iterator[Case]:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        yield case(f"{method} changes what is there", ask(FRESH), ask(method=method), ask(FRESH))
        yield case(
            f"a {method} that failed does not", ask(FRESH), ask(method=method, status=422), hit()
        )
    yield case("a 303 has changed it", ask(FRESH), ask(method="POST", status=303), ask(FRESH))
    yield case("OPTIONS changes nothing", ask(FRESH), ask(method="OPTIONS"), hit())
    yield case("nothing of another URL", ask(FRESH), ask(method="POST", path="/y"), hit())
    yield case(
        "a POST is never kept", ask(FRESH, method="POST"), ask(FRESH, method="POST"), ask(FRESH)
    )
    for name in ("location", "content-location"):
        for value in ("/x", "x", "http://testserver/x", "//testserver/x", "./x#y"):
            yield case(
                f"{name}: {value}",
                ask(FRESH),
                ask({name: value}, method="POST", path="/y"),
                ask(FRESH),
            )
        for value in ("http://other.example/x", "https://testserver/x", "http://[", "/z"):
            yield case(
                f"not {name}: {value}",
                ask(FRESH),
                ask({name: value}, method="POST", path="/y"),
                hit(),
            )
    by_a = {**FRESH, "vary": "x-a"}
    one, two = {"x-a": "1"}, {"x-a": "2"}
    yield case(
        "all that differ",
        ask(by_a, send=one),
        ask(by_a, send=two),
        ask(method="POST"),
        ask(by_a, send=one),
        ask(by_a, send=two),
    )
    group = {**FRESH, "cache-groups": '"news", "a\\"b"'}
    for value in ('"news"', '"x", "news"', '"a\\"b"', '"news";y=1'):
        yield case(
            f"groups {value}",
            ask(group),
            ask({"cache-group-invalidation": value}, method="POST", path="/y"),
            ask(group),
        )
    for value in ('"other"', "news", '"news', '"news",', '"News"'):
        yield case(
            f"no group of it: {value}",
            ask(group),
            ask({"cache-group-invalidation": value}, method="POST", path="/y"),
            hit(),
        )
    yield case(
        "nothing if a GET says so",
        ask(group),
        ask({"cache-group-invalidation": '"news"'}, path="/y"),
        hit(),
    )
    yield not_kept(
        "more groups than can be known",
        {**FRESH, "cache-groups": ", ".join(f'"{n}"' for n in range(200))},
    )


def parts() -> Iterator[Case]:
    whole = ask({**FRESH, "etag": '"a"'}, body="0123456789")
    for sent, gets in (
        ("bytes=0-3", "bytes 0-3/10"),
        ("bytes=7-", "bytes 7-9/10"),
        ("bytes=-2", "bytes 8-9/10"),
        ("bytes=2-99", "bytes 2-9/10"),
    ):
        yield case(
            f"{sent}", whole, hit(send={"range": sent}, shows=206, has={"content-range": gets})
        )
    yield case("beyond the end", whole, hit(send={"range": "bytes=10-"}, shows=416))
    for sent in ("bytes=0-1,5-6", "lines=0-3", "bytes=x", "bytes=3-2"):
        yield case(f"all of it for {sent}", whole, hit(send={"range": sent}, shows=200))
    yield case(
        "If-Range of it", whole, hit(send={"range": "bytes=0-3", "if-range": '"a"'}, shows=206)
    )
    yield case(
        "If-Range of another", whole, hit(send={"range": "bytes=0-3", "if-range": '"b"'}, shows=200)
    )
    yield case(
        "nothing is made of a part",
        ask(FRESH, send={"range": "bytes=0-3"}, asked={"range": "bytes=0-3"}),
        ask(FRESH),
        hit(),
    )


def fields() -> Iterator[Case]:
    yield case("Age is counted", ask(FRESH), hit(wait=7, has={"age": "7"}))
    yield case(
        "Age goes on from before", ask({**FRESH, "age": "5"}), hit(wait=7, has={"age": "12"})
    )
    yield case("no Age of a new one", ask(FRESH, has={"age": "-"}))
    yield case("fields are kept", ask({**FRESH, "x-y": "z"}), hit(has={"x-y": "z"}))
    yield case(
        "fields of a connection are not",
        ask({**FRESH, "connection": "x-y", "x-y": "z", "keep-alive": "timeout=5"}),
        hit(has={"x-y": "-", "keep-alive": "-", "connection": "-"}),
    )
    yield case(
        "nor those of a request",
        ask({**FRESH, "x-request-id": "1"}),
        hit(has={"x-request-id": "-"}),
    )


def status() -> Iterator[Case]:
    def told(value: str) -> dict[str, str]:
        return {"cache-status": value}

    yield case("a new one", ask(FRESH, has=told("Oxidite; fwd=uri-miss; fwd-status=200; stored")))
    yield case("a hit", ask(FRESH), hit(wait=10, has=told("Oxidite; hit; ttl=50")))
    yield case(
        "one that is not kept",
        ask({}, has=told('Oxidite; fwd=uri-miss; fwd-status=200; detail="no explicit freshness"')),
    )
    yield case("a method", ask(method="OPTIONS", has=told("Oxidite; fwd=method; fwd-status=200")))
    yield case(
        "what is stale",
        ask(FRESH),
        ask(FRESH, wait=61, has=told("Oxidite; fwd=uri-miss; fwd-status=200; stored")),
    )
    yield case(
        "what is asked for again",
        ask({**FRESH, "etag": '"a"'}),
        ask(FRESH, wait=61, status=304, has=told("Oxidite; fwd=stale; fwd-status=304; stored")),
    )
    yield case(
        "a wish",
        ask(FRESH),
        ask(
            FRESH,
            send={"cache-control": "no-cache"},
            has=told("Oxidite; fwd=request; fwd-status=200; stored"),
        ),
    )
    yield case(
        "one of several",
        ask({**FRESH, "vary": "x-a"}),
        ask(
            {**FRESH, "vary": "x-a"},
            send={"x-a": "1"},
            has=told("Oxidite; fwd=vary-miss; fwd-status=200; stored"),
        ),
    )
    yield case(
        "a name",
        ask(FRESH, has=told('"our cache"; fwd=uri-miss; fwd-status=200; stored')),
        name="our cache",
    )
    yield case(
        "after that of another",
        ask(
            {**FRESH, **told("Near; hit")},
            has=told("Near; hit, Oxidite; fwd=uri-miss; fwd-status=200; stored"),
        ),
        hit(has=told("Oxidite; hit; ttl=60")),
    )


def targeted() -> Iterator[Case]:
    def cdn(value: str, **more: str) -> dict[str, str]:
        return {"cdn-cache-control": value, **more}

    yield until("it counts", cdn("max-age=60"), 60)
    yield until("more than Cache-Control", cdn("max-age=60", **{"cache-control": "max-age=5"}), 60)
    yield kept("also where that forbids it", cdn("max-age=60", **{"cache-control": "no-store"}))
    yield not_kept("and it may forbid", cdn("no-store", **FRESH))
    yield not_kept("private", cdn("private, max-age=60", **FRESH))
    yield not_kept("Expires counts no more", cdn("public", expires="{now+60}"))
    for value in ("", "max-age=60,", "Max-Age=60", "max-age=60; ;", "max age=60", "=1", '"x"'):
        yield not_kept(
            f"{value!r} is none, and Cache-Control counts",
            cdn(value, **{"cache-control": "no-store"}),
        )
    yield not_kept("a time that is a text", cdn('max-age="60"', **FRESH))
    yield case(
        "one that is not for this cache", ask(cdn("max-age=60")), ask(cdn("max-age=60")), targets=[]
    )
    yield case(
        "the first of several",
        ask({"a-cache-control": "max-age=60", "b-cache-control": "no-store"}),
        hit(),
        targets=["A-Cache-Control", "B-Cache-Control"],
    )


GROUPS = (
    *(freshness, heuristics, statuses, directives, authorization, requests, keys, vary, validators),
    *(stale, invalidation, parts, fields, status, targeted),
)
CASES = [
    pytest.param(steps, options, id=f"{group.__name__}: {name}")
    for group in GROUPS
    for name, steps, options in group()
]


@pytest.mark.parametrize(("steps", "options"), CASES)
async def test_a_shared_cache(steps: tuple[Step, ...], options: dict[str, Any]) -> None:
    await play(steps, options)
