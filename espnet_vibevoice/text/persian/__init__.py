"""Reads Persian text aloud in writing; see :mod:`.normalizer` for the order."""
