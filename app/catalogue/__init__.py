"""What is brought in from files: catalogues of papers and drivers (TOML), and paper documents (JSON)."""
