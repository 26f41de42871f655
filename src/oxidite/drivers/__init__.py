"""Access to services that several subsystems share. Each driver is imported when its URL is asked for."""
