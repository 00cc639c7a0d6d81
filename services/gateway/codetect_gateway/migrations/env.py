"""Alembic's entry point."""

from codetect_shared.migrations import run_env

run_env()
