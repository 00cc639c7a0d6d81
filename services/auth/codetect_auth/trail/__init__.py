"""The audit trail of all services: chained per facility, verified, shown, exported (docs/audit.md)."""
