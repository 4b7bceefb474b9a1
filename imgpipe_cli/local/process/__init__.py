"""The local cloud's process: started, asked, saved and stopped."""
