"""Errors of decoding: which ones are an utterance's own, and how they are told."""

from espnet_vibevoice.errors import UtteranceError, is_out_of_memory


def describe_error(err: BaseException) -> str:
    """Say on one line why an utterance cannot be spoken, without its id."""
    if isinstance(err, UtteranceError):
        return f"{err.reason}: {' '.join(err.detail.split())}"
    if is_out_of_memory(err):
        return f"out of memory: {' '.join(str(err).split())[:200]}"
    return " ".join(str(err).split()) or type(err).__name__


def refuse_device_fault(err: BaseException) -> None:
    """Raise an error again that leaves the GPU unusable: nothing else would work.

    Args:
        err (BaseException): What was raised.

    Raises:
        RuntimeError: If it is of that kind.
    """
    if "CUDA error" in str(err) and not is_out_of_memory(err):
        raise RuntimeError(
            f"the GPU failed: {' '.join(str(err).split())}. What is done is kept: "
            "run the stage again"
        ) from err
