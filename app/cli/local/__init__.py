"""The database of this machine: the same use cases as behind the API. One module a noun, loaded by who asks for it."""
