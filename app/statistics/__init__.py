"""The arithmetic of a verdict: intervals, equivalence, posterior, design, GRIM, all pure and without a database.

Parts of SciPy that take long to import are named in full, `scipy.stats.hypergeom`: `import scipy` brings each in at its
first use, so that a process that decides nothing does not pay for it (docs/decisions/0007).
"""
