"""Verdicts: deciding, issuing, superseding, and everything a reader needs to check one."""
