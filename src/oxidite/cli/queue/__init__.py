"""``oxidite queue`` and ``oxidite cron``: jobs and schedules, looked at and changed."""
