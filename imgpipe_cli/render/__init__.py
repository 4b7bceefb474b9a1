"""The only place that words and colors what happened: text for people, JSON for programs."""
