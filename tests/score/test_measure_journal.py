import os

import pytest

from espnet_vibevoice.score.measure_journal import MeasureJournal, fingerprint_files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "work" / "x.jsonl"


def test_find_gives_what_another_process_added(path):
    MeasureJournal(path, "m").add("a", "1:2", {"mcd": 1.5, "fault": "نه"})
    assert MeasureJournal(path, "m").find("a", "1:2") == {"mcd": 1.5, "fault": "نه"}


@pytest.mark.parametrize(
    ("utt_id", "fingerprint", "method"),
    [("b", "1:2", "m"), ("a", "1:3", "m"), ("a", "1:2", "n")],
)
def test_find_other_utterance_audio_or_method_is_none(
    path, utt_id, fingerprint, method
):
    MeasureJournal(path, "m").add("a", "1:2", {"mcd": 1.5})
    assert MeasureJournal(path, method).find(utt_id, fingerprint) is None


def test_find_newest_line_counts(path):
    journal = MeasureJournal(path, "m")
    journal.add("a", "1:2", {"mcd": 1.5})
    journal.add("a", "3:4", {"mcd": 2.5})
    again = MeasureJournal(path, "m")
    assert again.find("a", "1:2") is None
    assert again.find("a", "3:4") == {"mcd": 2.5}


def test_line_that_was_cut_off_is_passed_over_and_written_behind(path):
    MeasureJournal(path, "m").add("a", "1:2", {"mcd": 1.5})
    MeasureJournal(path, "m").add("b", "1:2", {"mcd": 2.5})
    os.truncate(path, path.stat().st_size - 7)
    journal = MeasureJournal(path, "m")
    assert journal.find("b", "1:2") is None
    journal.add("c", "1:2", {"mcd": 3.5})
    again = MeasureJournal(path, "m")
    assert again.find("a", "1:2") == {"mcd": 1.5}
    assert again.find("c", "1:2") == {"mcd": 3.5}


def test_fingerprint_files_changes_with_size_time_and_presence(tmp_path):
    path = tmp_path / "a.wav"
    seen = [fingerprint_files(path)]
    path.write_bytes(b"1")
    seen.append(fingerprint_files(path))
    path.write_bytes(b"12")
    seen.append(fingerprint_files(path))
    os.utime(path, ns=(1, 1))
    seen.append(fingerprint_files(path))
    assert seen[0] == "missing"
    assert len(set(seen)) == 4
