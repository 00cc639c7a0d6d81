"""The second bundle, lung coverage: a target that is measured, not diagnosed, to show that a bundle needs no code."""
