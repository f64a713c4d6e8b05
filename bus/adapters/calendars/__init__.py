"""Working-day calendars of countries."""
