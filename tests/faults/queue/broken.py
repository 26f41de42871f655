"""A module that cannot be imported, as one that was deployed half."""

raise ZeroDivisionError("deployed half")
