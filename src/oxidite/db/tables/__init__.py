"""Tables and columns as models declare them."""
