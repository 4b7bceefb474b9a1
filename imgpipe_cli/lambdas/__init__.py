"""The functions' source code: found, loaded, and packed for Lambda."""
