"""Drivers: the catalogue of recipes, as it was loaded from its TOML files."""
