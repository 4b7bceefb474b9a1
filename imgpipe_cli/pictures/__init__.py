"""Pictures on their way in, and results on their way back."""
