import os

from espnet_vibevoice.data.journal import FormatJournal, Measures

MEASURES = Measures(7, 1, 2, 3, 4)
OTHER = Measures(9, 0, 0, 0, 9)


def test_find_after_add_gives_measures_also_in_other_job(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1, "a").add("a", "f1", path, MEASURES)
    for job in (1, 2):
        journal = FormatJournal(tmp_path, job, "ab")
        assert journal.find("a", "f1", path) == MEASURES
        assert journal.find("a", "f2", path) is None
        assert journal.find("b", "f1", path) is None


def test_find_file_changed_or_gone_gives_none(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1, "a").add("a", "f1", path, MEASURES)
    journal = FormatJournal(tmp_path, 1, "abc")
    os.utime(path, ns=(1, 1))
    assert journal.find("a", "f1", path) is None
    path.unlink()
    assert journal.find("a", "f1", path) is None


def test_add_behind_unfinished_line_is_read_back(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1, "a").add("a", "f1", path, MEASURES)
    file = tmp_path / "format.1" / "journal.tsv"
    file.write_bytes(file.read_bytes() + b"b\tf1\t1")
    FormatJournal(tmp_path, 1, "c").add("c", "f3", path, OTHER)
    journal = FormatJournal(tmp_path, 1, "abc")
    assert journal.find("a", "f1", path) == MEASURES
    assert journal.find("c", "f3", path) == OTHER


def test_find_several_jobs_takes_the_newest_line(tmp_path):
    path = tmp_path / "a.wav"
    for job, time_ns in ((1, 30), (2, 10), (3, 20)):
        path.write_bytes(b"audio")
        os.utime(path, ns=(time_ns, time_ns))
        FormatJournal(tmp_path, job, "a").add("a", f"f{job}", path, MEASURES)
    os.utime(path, ns=(30, 30))
    journal = FormatJournal(tmp_path, 1, "a")
    assert journal.find("a", "f1", path) == MEASURES
    assert journal.find("a", "f3", path) is None


def test_find_utterance_that_was_not_announced_gives_none(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    FormatJournal(tmp_path, 1, "a").add("a", "f1", path, MEASURES)
    assert FormatJournal(tmp_path, 1, "b").find("a", "f1", path) is None
