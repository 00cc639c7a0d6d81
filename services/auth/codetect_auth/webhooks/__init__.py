"""Webhooks: what happens in a facility, told to addresses its admins name (Standard Webhooks)."""
