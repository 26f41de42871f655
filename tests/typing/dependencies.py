"""What `Depends` makes has the type of its provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, assert_type

from oxidite import Depends, Header, Oxidite, Request
from oxidite.extract import Description, Extractor, Marker, Parameter


class User:
    def __init__(self, name: str = "") -> None:
        self.name = name


def by_function(limit: int = 20) -> User:
    return User()


async def by_async(token: Header[str] = "") -> User:
    return User()


async def by_async_generator() -> AsyncIterator[User]:
    yield User()


def by_generator() -> Iterator[User]:
    yield User()


@asynccontextmanager
async def by_async_manager() -> AsyncIterator[User]:
    yield User()


@contextmanager
def by_manager() -> Iterator[User]:
    yield User()


async def a_list() -> list[User]:
    return []


assert_type(Depends(by_function), User)
assert_type(Depends(by_async), User)
assert_type(Depends(by_async_generator), User)
assert_type(Depends(by_generator), User)
assert_type(Depends(by_async_manager), User)
assert_type(Depends(by_manager), User)
assert_type(Depends(User), User)
assert_type(Depends(a_list), list[User])
assert_type(Depends(by_async, scope="handler"), User)

app = Oxidite()


@app.get("/")
async def handler(
    a: User = Depends(by_function),
    b: User = Depends(by_async),
    c: User = Depends(by_async_generator, scope="stream"),
    d: User = Depends(by_generator, scope="app"),
    e: User = Depends(User),
    *,
    f: Annotated[User, Depends(by_async)],
) -> None:
    assert_type(a, User)
    assert_type(f, User)


async def wrong(
    a: int = Depends(by_async),  # type: ignore[assignment]
    b: str = Depends(User),  # type: ignore[assignment]
) -> None: ...


Depends(by_async, scope="session")  # type: ignore[call-overload]
Depends(3)  # type: ignore[call-overload]


class CurrentUser:
    def extract(self, request: Request) -> User:
        return User(request.path)

    def describe(self) -> Description:
        return Description("header", User)


class AsyncUser:
    async def extract(self, request: Request) -> User:
        return User(request.path)

    def describe(self) -> Description:
        return Description("header", User)


class UserMarker:
    def bind(self, parameter: Parameter) -> Extractor[User]:
        return CurrentUser()


extractors: list[Extractor[User]] = [CurrentUser(), AsyncUser()]
markers: list[Marker] = [UserMarker()]
no_extractor: Extractor[User] = User()  # type: ignore[assignment]
other_extractor: Extractor[int] = CurrentUser()  # type: ignore[assignment]


@asynccontextmanager
async def pool() -> AsyncIterator[User]:
    yield User()


with_resources = Oxidite(resources=[pool()])
assert_type(with_resources.lifespan.get(User), User)
Oxidite(resources=[User()])  # type: ignore[list-item]
