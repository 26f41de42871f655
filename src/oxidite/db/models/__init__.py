"""Models: a table as a class, its rows as objects, and what happens to them."""
