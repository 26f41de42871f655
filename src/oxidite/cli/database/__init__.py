"""``oxidite db``: the schema of the application's database, from its models."""
