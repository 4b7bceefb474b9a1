"""All that touches MiniStack, the emulator inside the local cloud."""
