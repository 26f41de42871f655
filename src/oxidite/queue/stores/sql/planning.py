"""Schedules, and roles of which there is one."""

from __future__ import annotations

from collections.abc import Sequence

from oxidite.db.connections.steps import Steps
from oxidite.queue.base import NewJob, Schedule
from oxidite.queue.stores.sql.looking import LookSteps

__all__ = ["StoreSteps"]


class StoreSteps(LookSteps):
    """All that is done in SQL."""

    def schedules(self) -> Steps[list[Schedule]]:
        """Return the schedules."""
        rows = yield from self._fetched(
            "SELECT name, plan, origin, enabled, since, last FROM ox_job_schedules ORDER BY name",
            apart=True,
        )
        return [
            Schedule(
                name=name, plan=plan, origin=origin, enabled=bool(enabled), since=since, last=last
            )
            for name, plan, origin, enabled, since, last in rows
        ]

    def save_schedule(self, schedule: Schedule) -> Steps[None]:
        """Keep a schedule."""
        yield from self._changed(
            "{ignore} INTO ox_job_schedules (name, plan, origin, enabled, since, last) "
            "VALUES (:name, :plan, :origin, 0, {now}, :last){ignored}",
            name=schedule.name,
            plan=schedule.plan,
            origin=schedule.origin,
            last=schedule.last,
        )
        yield from self._changed(
            "UPDATE ox_job_schedules SET plan = :plan, origin = :origin, enabled = :enabled "
            "WHERE name = :name",
            plan=schedule.plan,
            origin=schedule.origin,
            enabled=int(schedule.enabled),
            name=schedule.name,
        )

    def remove_schedule(self, name: str) -> Steps[bool]:
        """Forget a schedule."""
        count = yield from self._changed(
            "DELETE FROM ox_job_schedules WHERE name = :name", apart=True, name=name
        )
        return bool(count)

    def fire(self, name: str, slot: float, jobs: Sequence[NewJob]) -> Steps[bool]:
        """Push the jobs of a slot."""
        is_first = yield from self._changed(
            "UPDATE ox_job_schedules SET last = :slot "
            "WHERE name = :name AND (last IS NULL OR last < :slot)",
            slot=slot,
            name=name,
        )
        if is_first and jobs:
            now = yield from self.now()
            yield from self._push(jobs, now)
        return bool(is_first)

    def lead(self, role: str, worker: str, lease: float) -> Steps[bool]:
        """Tell whether a worker has a role."""
        has_it = yield from self._changed(
            "UPDATE ox_job_roles SET worker = :worker, lease_until = {now} + :lease "
            "WHERE role = :role AND (worker = :worker OR lease_until <= {now})",
            worker=worker,
            lease=lease,
            role=role,
        )
        if not has_it:
            has_it = yield from self._changed(
                "{ignore} INTO ox_job_roles (role, worker, lease_until) "
                "VALUES (:role, :worker, {now} + :lease){ignored}",
                role=role,
                worker=worker,
                lease=lease,
            )
        return bool(has_it)
