"""Reproductions: asking for a run, and its life on the queue. The row is the queue; messages only ring a bell."""
