"""The CoDetect client: an async library and the `codetect` command."""
