"""Queries over several tables: joins, aliases, queries inside of queries, named and recursive ones."""

from __future__ import annotations

import pytest

from oxidite.db import (
    Col,
    Database,
    DeleteStatement,
    Model,
    QueryError,
    Select,
    SoftDeletes,
    UpdateStatement,
    alias,
    col,
    exists,
    fn,
    optional,
)


class Writer(Model, SoftDeletes, table="writers"):
    id: Col[int] = col(pk=True)
    name: Col[str]
    boss_id: Col[int | None] = col(default=None)


class Story(Model, SoftDeletes, table="stories"):
    id: Col[int] = col(pk=True)
    title: Col[str]
    writer_id: Col[int | None] = col(default=None)
    score: Col[int] = col(default=0)


Boss = alias(Writer, "boss")
by_id = Story.writer_id == Writer.id


@pytest.fixture
async def rows(db: Database) -> Database:
    await db.push(Writer, Story)
    for id, name, boss in ((1, "Ann", None), (2, "Ben", 1), (3, "Cat", 1), (4, "Gone", 1)):
        await Writer.create(id=id, name=name, boss_id=boss)
    for id, title, writer, score in (
        (10, "One", 1, 5),
        (11, "Two", 2, 7),
        (12, "Three", 2, 1),
        (13, "Nobody's", None, 9),
        (14, "Of one who is gone", 4, 3),
        (15, "Gone", 1, 100),
    ):
        await Story.create(id=id, title=title, writer_id=writer, score=score)
    await (await Writer.get(4)).delete()
    await (await Story.get(15)).delete()
    return db


class TestJoins:
    async def test_an_inner_join_keeps_what_has_both_sides(self, rows: Database) -> None:
        query = Story.query().join(Writer, on=by_id).order_by(Story.id)

        assert [story.id for story in await query.all()] == [10, 11, 12]
        assert await query.where(Writer.name == "Ben").count() == 2
        assert await query.select(Story.title, Writer.name).first() == ("One", "Ann")

    async def test_rows_of_both_become_objects(self, rows: Database) -> None:
        found = await Story.query().join(Writer, on=by_id).select(Story, Writer).all()

        assert {(story.title, writer.name) for story, writer in found} == {
            ("One", "Ann"),
            ("Two", "Ben"),
            ("Three", "Ben"),
        }
        story, writer = found[0]
        assert (story.changed(), writer.changed()) == ([], [])
        writer.name = "Changed"
        await writer.save()
        assert (await Writer.get(writer.id)).name == "Changed"

    async def test_a_missing_side_is_none(self, rows: Database) -> None:
        query = Story.query().left_join(Writer, on=by_id).order_by(Story.id)

        found = await query.select(Story.id, optional(Writer), Writer.name.optional()).all()

        assert [(id, writer and writer.name, name) for id, writer, name in found] == [
            (10, "Ann", "Ann"),
            (11, "Ben", "Ben"),
            (12, "Ben", "Ben"),
            (13, None, None),
            (14, None, None),
        ]

    async def test_what_seems_deleted_is_not_joined_unless_asked_for(self, rows: Database) -> None:
        seen = Story.query().left_join(Writer, on=by_id, with_deleted=True)

        assert await seen.where(Writer.name == "Gone").select(Story.id).all() == [(14,)]
        assert await Story.query().join(Writer, on=by_id, with_deleted=True).count() == 4
        assert await Story.query().with_deleted().join(Writer, on=by_id).count() == 4

    async def test_a_full_join_keeps_both_sides(self, rows: Database) -> None:
        query = Story.query().full_join(Writer, on=by_id).select(optional(Story), optional(Writer))

        if not rows.dialect.full_join:
            with pytest.raises(QueryError, match="has no FULL JOIN"):
                await query.all()
            return
        found = {(s and s.id, w and w.name) for s, w in await query.all()}

        assert found == {
            (10, "Ann"),
            (11, "Ben"),
            (12, "Ben"),
            (13, None),
            (14, None),
            (None, "Cat"),
        }

    async def test_a_cross_join_has_every_pair(self, rows: Database) -> None:
        assert await Writer.query().cross_join(Story).count() == 3 * 5

    async def test_a_table_joins_itself_by_an_alias(self, rows: Database) -> None:
        query = Writer.query().left_join(Boss, on=Writer.boss_id == Boss.id).order_by(Writer.id)

        assert await query.select(Writer.name, Boss.name.optional()).all() == [
            ("Ann", None),
            ("Ben", "Ann"),
            ("Cat", "Ann"),
        ]
        assert [boss.name for boss in await Boss.where(Boss.id == 1).all()] == ["Ann"]
        assert type(await Boss.get(2)) is Writer

    async def test_an_alias_is_made_once(self, rows: Database) -> None:
        assert alias(Writer, "boss").id is Boss.id
        before = len(rows.plans)
        for name in ("Ann", "Ben"):
            other = alias(Writer)
            await (
                Writer.query()
                .join(other, on=other.id == Writer.boss_id)
                .where(other.name == name)
                .all()
            )
        assert len(rows.plans) == before + 1

    async def test_mistakes_are_told(self, rows: Database) -> None:
        with pytest.raises(QueryError, match="does not read writers"):
            await Story.where(Writer.name == "Ann").all()
        with pytest.raises(QueryError, match="Two tables of one query are called writers"):
            await Writer.query().join(Writer, on=Writer.id == Writer.boss_id).all()
        with pytest.raises(QueryError, match=r"join\(on=...\) takes conditions"):
            Story.query().join(Writer, on=True)  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="cannot be a name in SQL"):
            alias(Writer, 'x"; DROP TABLE writers; --')
        with pytest.raises(AttributeError, match="An alias of Writer has its columns"):
            _ = Boss.create
        with pytest.raises(QueryError, match="is no model with a table"):
            alias(str)

    async def test_a_lock_may_be_of_one_of_them(self, rows: Database) -> None:
        query = Story.query().join(Writer, on=by_id).for_update(of=Story, skip_locked=True)

        async with rows.transaction():
            if rows.dialect.locks_of or not rows.dialect.locks_rows:
                assert len(await query.all()) == 3
            else:
                with pytest.raises(QueryError, match="locks the rows of all"):
                    await query.all()
        with pytest.raises(QueryError, match="take one"):
            Story.query().for_update(nowait=True, skip_locked=True)


class TestSubqueries:
    async def test_exists_names_columns_of_the_query_around(self, rows: Database) -> None:
        with_story = exists(Story.where(by_id))

        assert [w.name for w in await Writer.where(with_story).order_by(Writer.id).all()] == [
            "Ann",
            "Ben",
        ]
        assert [w.name for w in await Writer.where(~with_story).all()] == ["Cat"]
        good = exists(Story.where(by_id, Story.score > 6).order_by(Story.id))
        assert [w.name for w in await Writer.where(good).all()] == ["Ben"]

    async def test_conditions_of_a_change_have_queries_too(self, rows: Database) -> None:
        table = Writer.__table__
        without_story = ~exists(Story.where(by_id))

        done = await rows.run(DeleteStatement(table=table, where=(without_story,)))
        assert done.rowcount == 1
        best = Story.where(by_id).select(fn.max(Story.title)).scalar()
        has_good = Writer.id.in_(Story.where(Story.score > 6).select(Story.writer_id))
        changed = UpdateStatement(
            table=table, columns=("name",), exprs=(best,), where=(has_good, Writer.id > 1)
        )
        assert (await rows.run(changed)).rowcount == 1
        found = await Writer.order_by(Writer.id).select(Writer.name).all()
        assert found == [("Ann",), ("Two",)]

    async def test_exists_of_the_same_table_by_an_alias(self, rows: Database) -> None:
        staff = alias(Writer, "staff")

        found = await Writer.where(exists(staff.where(staff.boss_id == Writer.id))).all()

        assert [writer.name for writer in found] == ["Ann"]

    async def test_values_of_a_query_are_a_list(self, rows: Database) -> None:
        writers = Story.where(Story.score > 4).select(Story.writer_id)

        assert await Writer.where(Writer.id.in_(writers)).count() == 2
        known = Story.where(Story.writer_id.not_null()).select(Story.writer_id)
        assert [w.name for w in await Writer.where(Writer.id.not_in(known)).all()] == ["Cat"]
        with pytest.raises(QueryError, match="has one column"):
            Writer.id.in_(Story.query().select(Story.id, Story.score))  # type: ignore[arg-type]

    async def test_a_value_of_a_query_is_an_expression(self, rows: Database) -> None:
        best = Story.where(by_id).select(fn.max(Story.score)).scalar()
        query = Writer.query().order_by(Writer.id).select(Writer.name, best)

        assert await query.all() == [("Ann", 5), ("Ben", 7), ("Cat", None)]
        mean = Story.query().select(fn.avg(Story.score)).scalar()
        assert await Story.where(fn.cast(Story.score, float) > mean).order_by(Story.id).select(
            Story.id
        ).all() == [
            (11,),
            (13,),
        ]

    async def test_a_query_is_a_table(self, rows: Database) -> None:
        total = fn.sum(Story.score)
        grouped = Story.query().group_by(Story.writer_id).select(Story.writer_id, total)
        for table in (grouped.subquery("totals"), grouped.cte("totals")):
            query = Writer.query().join(table, on=table[Story.writer_id] == Writer.id)
            found = await query.order_by(Writer.id).select(Writer.name, table[total]).all()
            assert found == [("Ann", 5), ("Ben", 8)]
            assert await table.query().where(table[total] > 8).all() == [(None, 9)]
            assert await table.query().count() == 4

    async def test_a_table_of_whole_rows_gives_objects(self, rows: Database) -> None:
        best = Story.order_by(Story.score.desc()).limit(2).subquery("best")

        found = await best.query().order_by(best[Story.id]).all()

        assert [(type(one), one.title) for one in found] == [(Story, "Two"), (Story, "Nobody's")]
        assert found[0].changed() == []

    async def test_a_named_query_is_read_twice(self, rows: Database) -> None:
        scores = Story.where(Story.score > 2).select(Story.id, Story.score).cte("scores")
        more = scores.alias("more")

        query = scores.query().join(more, on=more[Story.score] > scores[Story.score])

        pairs = query.order_by(scores[Story.id], more[Story.id]).select(
            scores[Story.id], more[Story.id]
        )
        assert await pairs.all() == [(10, 11), (10, 13), (11, 13), (14, 10), (14, 11), (14, 13)]
        sql = rows.plans.get(pairs.statement).sql
        assert sql.count("stories.score >") == 1

    async def test_a_name_that_another_table_has_is_refused(self, rows: Database) -> None:
        table = Story.query().select(Story.id).cte("writers")
        with pytest.raises(QueryError, match="called writers"):
            await Writer.query().join(table, on=table[Story.id] == Writer.id).all()
        inner = Story.query().select(Story.id).subquery("writers")
        with pytest.raises(QueryError, match="inside of another one has a table writers"):
            await Writer.where(exists(inner.query())).all()
        with pytest.raises(QueryError, match="is no column of writers"):
            table[Story.title]

    async def test_queries_of_one_name_and_other_values_are_two(self, rows: Database) -> None:
        async def both(low: int, high: int) -> list[tuple[int, int]]:
            one = Story.where(Story.score > low).select(Story.id).cte("one")
            two = Story.where(Story.score > high).select(Story.id).cte("two")
            found = one.query().join(two, on=one[Story.id] == two[Story.id])
            return await found.select(one[Story.id], two[Story.id]).order_by(one[Story.id]).all()

        assert await both(0, 8) == [(13, 13)]
        before = len(rows.plans)
        assert await both(6, 0) == [(11, 11), (13, 13)]
        assert len(rows.plans) == before

    async def test_named_queries_inside_of_each_other(self, rows: Database) -> None:
        first = Story.where(Story.score > 2).select(Story.id, Story.score).cte("first")
        second = first.query().where(first[Story.score] < 9).cte("second")
        inside = first.query().where(first[Story.id] == Story.id)

        assert await second.query().count() == 3
        joined = second.query().join(first, on=first[Story.id] == second[first[Story.id]])
        assert await joined.count() == 3
        assert await Story.where(exists(inside)).count() == 4

    async def test_a_recursive_query(self, rows: Database) -> None:
        level = fn.value(0)
        top = Writer.where(Writer.boss_id == None).select(Writer.id, Writer.name, level)  # noqa: E711

        tree = top.recursive(
            "tree",
            lambda tree: (
                Writer.query()
                .join(tree, on=tree[Writer.id] == Writer.boss_id)
                .select(Writer.id, Writer.name, tree[level] + 1)
            ),
        )

        query = tree.query().order_by(tree[level], tree[Writer.name])
        assert await query.all() == [(1, "Ann", 0), (2, "Ben", 1), (3, "Cat", 1)]
        below = tree.query().where(tree[level] == 1).select(tree[Writer.id])
        assert await Writer.where(Writer.id.in_(below)).count() == 2

    async def test_a_recursive_query_ends_in_a_circle(self, rows: Database) -> None:
        ann = await Writer.get(1)
        ann.boss_id = 3
        await ann.save()

        start = Writer.where(Writer.id == 1).select(Writer.id)
        around = start.recursive(
            "around",
            lambda around: (
                Writer.query()
                .join(around, on=Writer.boss_id == around[Writer.id])
                .select(Writer.id)
            ),
            distinct=True,
        )

        assert sorted(await around.query().all()) == [(1,), (2,), (3,)]

    async def test_a_step_has_the_same_columns(self) -> None:
        start = Writer.query().select(Writer.id)
        with pytest.raises(QueryError, match="here are 1, there 2"):
            start.recursive("x", lambda x: Writer.query().select(Writer.id, Writer.name))  # type: ignore[arg-type, return-value]


class TestUnions:
    async def test_unions_and_differences(self, rows: Database) -> None:
        good, of_ben = Story.where(Story.score > 4), Story.where(Story.writer_id == 2)

        async def ids(query: Select[Story]) -> list[int]:
            return [story.id for story in await query.order_by(Story.id).all()]

        assert await ids(good.union(of_ben)) == [10, 11, 12, 13]
        assert await ids(good.union_all(of_ben)) == [10, 11, 11, 12, 13]
        assert await ids(good.intersect(of_ben)) == [11]
        assert await ids(good.except_(of_ben)) == [10, 13]
        assert await ids(good.union(of_ben).except_(Story.where(Story.id == 12))) == [10, 11, 13]
        assert await good.union(of_ben).count() == 4
        assert await good.intersect(of_ben).exists()

    async def test_parts_with_an_order_and_a_limit(self, rows: Database) -> None:
        best = Story.order_by(Story.score.desc()).limit(1).select(Story.id, Story.score)
        worst = Story.order_by(Story.score).limit(1).select(Story.id, Story.score)

        both = best.union_all(worst).order_by(Story.score)

        assert await both.all() == [(12, 1), (13, 9)]
        assert await both.limit(1).offset(1).all() == [(13, 9)]

    async def test_a_union_is_a_table(self, rows: Database) -> None:
        names = Story.query().select(Story.title).union(Writer.query().select(Writer.name))
        table = names.subquery("names")

        found = table.query().where(table[Story.title].startswith("B"))

        assert await found.all() == [("Ben",)]
        assert await Writer.where(Writer.name.in_(names)).count() == 3

    async def test_what_a_union_cannot(self, rows: Database) -> None:
        union = Story.query().union(Story.query())

        with pytest.raises(QueryError, match="can be ordered and limited"):
            union.where(Story.id == 1)
        with pytest.raises(QueryError, match="ordered by its columns"):
            await union.order_by(Story.score + 1).all()
        with pytest.raises(QueryError, match="same columns"):
            Story.query().union(Story.query().select(Story.id))  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="locks no rows"):
            Story.query().union(Story.query().for_update())


class TestSteps:
    async def test_counting_is_of_what_would_come(self, rows: Database) -> None:
        query = Story.query()

        assert await query.limit(2).count() == 2
        assert await query.offset(4).limit(9).count() == 1
        assert await query.group_by(Story.writer_id).select(Story.writer_id).count() == 4
        assert await query.select(Story.writer_id).distinct().count() == 4
        assert await query.select(fn.count()).count() == 1
        assert await query.limit(0).exists() is False
        many = query.group_by(Story.writer_id).having(fn.count() > 1).select(Story.writer_id)
        assert await many.count() == 1
        assert await many.exists()
        assert not await many.having(fn.count() > 2).exists()

    async def test_groups_and_orders_beside_whole_rows(self, rows: Database) -> None:
        better = Story.score + 1
        query = Story.query().select(Story, better).order_by(better.desc()).limit(1)

        ((story, score),) = await query.all()
        assert (story.id, score) == (13, 10)

    async def test_orders_are_forgotten(self, rows: Database) -> None:
        query = Story.order_by(Story.id.desc())

        assert [s.id for s in await query.order_by().order_by(Story.id).limit(1).all()] == [10]

    async def test_a_function_is_a_scope(self, rows: Database) -> None:
        def better_than(query: Select[Story], score: int) -> Select[Story]:
            return query.where(Story.score > score)

        assert await Story.query().apply(better_than, 6).count() == 2
        assert await Story.query().apply(better_than, score=8).count() == 1

    async def test_distinct_on(self, rows: Database) -> None:
        query = Story.order_by(Story.writer_id, Story.score.desc()).distinct(Story.writer_id)

        if rows.dialect.distinct_on:
            assert [s.id for s in await query.all()] == [10, 11, 14, 13]
            assert await query.count() == 4
        else:
            with pytest.raises(QueryError, match="has no DISTINCT ON"):
                await query.all()
