"""Papers and their versions: ids, registering, changing, listing, and the paper document."""
