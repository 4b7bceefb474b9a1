"""Sending pictures: which files become which keys, which are there already, and the upload itself."""
