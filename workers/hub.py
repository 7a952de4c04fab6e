"""What is said where the Hugging Face hub cannot be asked for something."""

from huggingface_hub import constants

from app.protocol.errors import DriverError


def unreachable(place: str) -> DriverError:
    """`hub_unreachable`, about what `place` names. What exactly went wrong is its cause, and stands in the log."""
    if constants.HF_HUB_OFFLINE:
        mend = "the variable HF_HUB_OFFLINE keeps this worker from asking. Start it without, and ask for a new run"
    else:
        mend = (
            f"{constants.ENDPOINT} did not answer, or its answer broke off. See that this worker's machine reaches it "
            "(behind a proxy, HTTPS_PROXY names that), then ask for a new run"
        )
    message = f"This worker has no copy of {place} yet, and could not get one: {mend}. It is downloaded only once."
    return DriverError("hub_unreachable", message, retryable=not constants.HF_HUB_OFFLINE)
