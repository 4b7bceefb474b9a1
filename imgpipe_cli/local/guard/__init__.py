"""The guard in front of the emulator: each request is checked before it gets there."""
