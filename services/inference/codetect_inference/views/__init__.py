"""Views of the worklist that people keep for themselves."""
