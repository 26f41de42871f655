"""Values: their kinds, how databases have them, and how they are bound and read."""
