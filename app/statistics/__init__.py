"""The arithmetic of a verdict: intervals, equivalence, posterior, design, GRIM, all pure and without a database."""
