"""The IAM permissions that the commands need."""
