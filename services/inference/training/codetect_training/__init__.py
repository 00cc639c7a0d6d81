"""Training, export and evaluation of model bundles."""
