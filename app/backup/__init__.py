"""Backups: the whole database in one file, and back, so that a restored service answers byte for byte the same.

archive      the file: one entry a table, a manifest, and a digest of all of it at its end
tables       what there is to copy: tables, columns, their order, foreign keys, sequences
save         write a backup from one consistent snapshot
load         restore one into an empty database, in one transaction, checked before it counts
invariants   what the triggers would have refused, asked of the restored rows
"""
