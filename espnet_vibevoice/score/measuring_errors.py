"""The error that leaves one measure without a value and everything else intact."""


class MeasureUnavailable(RuntimeError):
    """A measure cannot be taken; the tables show why instead of a figure.

    Args:
        reason (str): What is missing and, where the user can mend it, how. One line.
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason
