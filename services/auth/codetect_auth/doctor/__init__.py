"""`admin doctor`: what must be in DNS and what must answer, so that mail arrives and people get in."""
