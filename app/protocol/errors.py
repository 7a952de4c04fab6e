"""The one way in which running a driver fails."""


class DriverError(Exception):
    """A reproduction cannot go on. Stored on the run as its error; never a scientific result.

    `code` is stable and part of the API (`checkpoint_missing`, `dataset_fingerprint_mismatch`, ...). `retryable` says
    whether the same run may succeed later without anybody changing anything. `message` is shown to users: it says what
    is wrong and how to mend it, and holds no secret.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
