"""Errors that a user is meant to read, and how a command shows them.

A message says what was wrong (got and wanted), where, and what to do. Commands
print it as one line; set ``VIBEVOICE_DEBUG=1`` to see the traceback as well.
"""

import os
import sys
from collections.abc import Callable

# How torch and its libraries say that memory ran out, most without a class for it.
_MEMORY_WORDS = (
    "DefaultCPUAllocator",
    "can't allocate memory",
    "out of memory",
    "ALLOC_FAILED",
)


class UtteranceError(ValueError):
    """One utterance is unusable; data preparation may skip and list it.

    Args:
        utt_id (str): Utterance id.
        reason (str): Short machine-readable reason, e.g. ``unreadable``.
        detail (str): What was found and what was wanted.
        limit (str): The limit that was passed, where there is one.
    """

    def __init__(self, utt_id: str, reason: str, detail: str, limit: str = ""):
        said = f"{detail}, limit {limit}" if limit else detail
        super().__init__(f"{utt_id}: {reason}: {said}")
        self.utt_id = utt_id
        self.reason = reason
        self.detail = detail
        self.limit = limit


def summarize_faults(faults: list[str], limit: int = 10) -> str:
    """Join a list of faults into one message: the first ones and the count.

    Example:
        >>> summarize_faults(["a", "b", "c"], limit=2)
        'a; b; and 1 more'
    """
    shown = "; ".join(faults[:limit])
    rest = len(faults) - limit
    return f"{shown}; and {rest} more" if rest > 0 else shown


def is_out_of_memory(err: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on a GPU or the CPU.

    Args:
        err (BaseException): What was raised.
    """
    if isinstance(err, MemoryError):
        return True
    return any(words in str(err) for words in _MEMORY_WORDS)


def run_command(main: Callable[[], int | None]) -> None:
    """Run the main function of a command and turn errors into an exit status.

    Exit status 0 on success, 1 on an error that the user can mend (one line on
    standard error), 2 on wrong options (argparse), 130 on Ctrl-C. Anything else is
    a fault of ours and keeps its traceback.

    Args:
        main (Callable): Parses its own arguments; returns None or an exit status.
    """
    try:
        status = main()
    except (ValueError, RuntimeError, OSError) as err:
        if os.environ.get("VIBEVOICE_DEBUG"):
            raise
        message = " ".join(str(err).split()) or type(err).__name__
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(status or 0)
