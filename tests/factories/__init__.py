"""Rows for tests, made through the service's own use cases.

databases  a database of one's own, opened
papers     papers and claims
drivers    catalogues of tiny drivers, written and loaded
runs       asking for runs, and a worker's side of them without a model
verdicts   verdicts to issue
"""
