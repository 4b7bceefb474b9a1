"""What all functions share. It travels in every function's zip, so it imports nothing from them."""
