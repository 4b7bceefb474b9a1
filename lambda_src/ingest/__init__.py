"""The function that S3 calls: it looks at each new picture once and stores a result."""
