"""Training data as descriptions: what lies where, what it may be used for, and how it is split; no PyTorch."""
