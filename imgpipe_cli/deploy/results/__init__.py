"""The stores of results as the set-up sees them: read, migrate, index again."""
