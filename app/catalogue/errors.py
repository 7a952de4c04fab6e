"""What can go wrong with files that are brought in."""


class CatalogueError(Exception):
    """A file of the catalogue, or a document, cannot be used. The message names the file and what to mend."""
