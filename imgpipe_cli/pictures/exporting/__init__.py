"""Results as the files of other tools."""
