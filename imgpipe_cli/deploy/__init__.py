"""The set-up of a pipeline: observe, plan, apply, destroy."""
