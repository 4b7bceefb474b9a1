"""Where a command goes, and with which settings."""
