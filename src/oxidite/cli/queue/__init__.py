"""``oxidite queue``."""
