"""Who may do what: API keys and their scopes, rate limits, idempotency keys, the audit log."""
