"""Badges: what others embed to show a paper's verdict."""
