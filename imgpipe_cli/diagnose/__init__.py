"""Reports about a pipeline and its pictures, and the retry of failures."""
