"""Claims: the numbers that papers report."""
