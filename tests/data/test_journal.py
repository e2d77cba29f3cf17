import os

from espnet_vibevoice.data.journal import FormatJournal


def test_find_after_add_gives_samples_also_in_other_job(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1).add("a", "f1", path, 7)
    for job in (1, 2):
        journal = FormatJournal(tmp_path, job)
        assert journal.find("a", "f1", path) == 7
        assert journal.find("a", "f2", path) is None
        assert journal.find("b", "f1", path) is None


def test_find_file_changed_or_gone_gives_none(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1).add("a", "f1", path, 7)
    journal = FormatJournal(tmp_path, 1)
    os.utime(path, ns=(1, 1))
    assert journal.find("a", "f1", path) is None
    path.unlink()
    assert journal.find("a", "f1", path) is None


def test_add_behind_unfinished_line_is_read_back(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1).add("a", "f1", path, 7)
    file = tmp_path / "format.1" / "journal.tsv"
    file.write_bytes(file.read_bytes() + b"b\tf1\t1")
    FormatJournal(tmp_path, 1).add("c", "f3", path, 9)
    journal = FormatJournal(tmp_path, 1)
    assert journal.find("a", "f1", path) == 7
    assert journal.find("c", "f3", path) == 9
