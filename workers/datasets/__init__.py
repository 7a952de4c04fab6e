"""Load a pinned split from a file or from the hub, and fingerprint what was read.

files          where the file of a split is, and its bytes, bounded
hub            one file of a pinned dataset repository
cells          what one cell means: an identity, a class
tables         Parquet, JSON Lines and TSV as columns of plain Python values
split          a split in memory
fingerprints   the digest of its content
load           a specification to a checked split
predictions    released predictions, as the authors wrote them
"""
