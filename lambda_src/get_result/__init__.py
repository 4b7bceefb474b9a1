"""The function behind GET /result: it may only read."""
