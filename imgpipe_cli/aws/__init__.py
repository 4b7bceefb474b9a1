"""Clients of AWS, their errors, and the names and permissions that imgpipe has there."""
