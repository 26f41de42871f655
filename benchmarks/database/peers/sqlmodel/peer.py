"""SQLModel, with its own AsyncSession."""

import asyncio
from datetime import datetime

from seed import AUTHORS, ITEMS, POSTS, WITH_POSTS, author, post
from sqlalchemy import Column, DateTime, delete, func
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload
from sqlmodel import Field, Relationship, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession


class Author(SQLModel, table=True):
    __tablename__ = "authors"
    id: int | None = Field(default=None, primary_key=True)
    name: str
    email: str
    age: int
    score: float
    active: bool
    bio: str
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True)))
    posts: list["Post"] = Relationship(back_populates="author")


class Post(SQLModel, table=True):
    __tablename__ = "posts"
    id: int | None = Field(default=None, primary_key=True)
    author_id: int = Field(foreign_key="authors.id")
    title: str
    body: str
    likes: int
    author: Author = Relationship(back_populates="posts")


class Item(SQLModel, table=True):
    __tablename__ = "items"
    id: int | None = Field(default=None, primary_key=True)
    name: str
    likes: int
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True)))


engine: AsyncEngine
sessions: async_sessionmaker[AsyncSession]


async def start(url: str) -> None:
    global engine, sessions
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://").replace(
            "sqlite://", "sqlite+aiosqlite://"
        ),
        pool_size=10,
    )
    sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    async with sessions.begin() as session:
        authors = [Author(**author(n)) for n in range(AUTHORS)]
        session.add_all(authors)
        await session.flush()
        session.add_all(
            Post(author_id=a.id, **post(n)) for a in authors[:WITH_POSTS] for n in range(POSTS)
        )


async def stop() -> None:
    await engine.dispose()


async def get_one(number: int) -> Author:
    async with sessions() as session:
        return await session.get_one(Author, number)


async def get(count: int) -> int:
    found = 0
    for number in range(count):
        found += (await get_one(number % AUTHORS + 1)).id > 0
    return found


async def rows(count: int) -> int:
    found = 0
    for _ in range(count):
        async with sessions() as session:
            query = select(Author).where(Author.age >= 20).order_by(Author.id).limit(100)
            found += len((await session.exec(query)).all())
    return found


async def eager(count: int) -> int:
    found = 0
    for _ in range(count):
        async with sessions() as session:
            query = (
                select(Author)
                .options(selectinload(Author.posts))
                .order_by(Author.id)
                .limit(WITH_POSTS)
            )
            for each in await session.exec(query):
                found += len(each.posts)
    return found


async def insert_objects(count: int) -> int:
    found = 0
    for _ in range(count):
        async with sessions.begin() as session:
            await session.exec(delete(Item))
            items = [Item(name=name, likes=likes, created_at=at) for name, likes, at in ITEMS]
            session.add_all(items)
        found += sum(each.id > 0 for each in items)
    return found


async def update(count: int) -> int:
    for number in range(count):
        async with sessions.begin() as session:
            one = await session.get_one(Author, number % AUTHORS + 1)
            one.age = one.age + 1 if one.age < 90 else 20
    return count


async def page(count: int) -> int:
    found = 0
    for number in range(count):
        async with sessions() as session:
            query = (
                select(Author)
                .where(Author.active == True, Author.id < AUTHORS - number % 500)  # noqa: E712
                .order_by(Author.id.desc())
                .limit(20)
            )
            found += len((await session.exec(query)).all())
    return found


async def count_(count: int) -> int:
    found = 0
    for number in range(count):
        async with sessions() as session:
            query = select(func.count()).select_from(Author).where(Author.age > number % 60)
            found += (await session.exec(query)).one()
    return found


async def together(count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(await asyncio.gather(*(get_one(number + 1) for number in range(200))))
    return found


WORKLOADS = {
    "get": get,
    "rows": rows,
    "eager": eager,
    "insert": insert_objects,
    "update": update,
    "page": page,
    "count": count_,
    "together": together,
}
