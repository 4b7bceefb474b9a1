"""The only place that words and colours what happened: text for people, JSON for programs."""
