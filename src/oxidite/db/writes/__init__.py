"""Writing objects and rows, one or many."""
