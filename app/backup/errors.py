"""What can go wrong with backups."""


class BackupError(Exception):
    """A backup that cannot be written, or one that is not restored; says why and how to mend it."""
