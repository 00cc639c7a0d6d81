"""Watching the models: whether what they are given and what they say is still spread as when they were made."""
