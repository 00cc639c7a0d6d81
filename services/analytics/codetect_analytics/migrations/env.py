"""Alembic's entry."""

from codetect_shared.migrations import run_env

run_env()
