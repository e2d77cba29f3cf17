"""Corpora as they are published, read into one form and written as data directories.

One parser per corpus gives :class:`~.utterance.CorpusUtterance`; `prepare.py` reads
texts aloud in writing, `index.py` keeps the rows on disk, `splits.py` makes the sets
disjoint and `write.py` writes them, so that memory does not grow with the corpus.
"""
