import pytest

from espnet_vibevoice.data.data_dir import validate_data_dir
from espnet_vibevoice.data.dropped import Dropped, read_dropped, write_dropped
from espnet_vibevoice.data.filtering import FilterOptions, filter_data_dir
from espnet_vibevoice.data.kaldi import read_table, write_table

FS = 1000


def make_tiny_formatted(path, samples, **texts):
    """Data directory with these numbers of samples; text is 10 letters by default."""
    utterances = sorted(samples)
    write_table(path / "wav.scp", {u: f"/w/{u}.wav" for u in utterances})
    write_table(path / "text", {u: texts.get(u, "سلام دنیاآب") for u in utterances})
    write_table(path / "utt2spk", {u: f"s{i % 2}" for i, u in enumerate(utterances)})
    write_table(path / "utt2num_samples", samples)
    return path


def test_filter_data_dir_limits_are_exclusive(tmp_path):
    samples = {"a": 500, "b": 501, "c": 1999, "d": 2000}
    source = make_tiny_formatted(tmp_path / "org", samples)
    options = FilterOptions(min_duration_sec=0.5, max_duration_sec=2.0)
    report = filter_data_dir(source, tmp_path / "out", FS, options)
    assert list(read_table(tmp_path / "out" / "text")) == ["b", "c"]
    assert validate_data_dir(tmp_path / "out") == 2
    assert report.dropped == read_dropped(tmp_path / "out" / "dropped.tsv")
    assert report.dropped == {
        "a": Dropped("too_short", "0.500 s"),
        "d": Dropped("too_long", "2.000 s"),
    }


def test_filter_data_dir_speaking_rate_drops_both_ends(tmp_path):
    samples = {"a": 1000, "b": 100, "c": 10000}  # 10, 100 and 1 letters per second
    source = make_tiny_formatted(tmp_path / "org", samples)
    options = FilterOptions(min_chars_per_sec=2, max_chars_per_sec=50)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert dropped == {
        "b": Dropped("too_many_chars_per_sec", "100.00"),
        "c": Dropped("too_few_chars_per_sec", "1.00"),
    }


def test_filter_data_dir_keep_all_drops_unusable_alone(tmp_path):
    samples = {"a": 1, "b": 1000, "c": 0, "d": 99999}
    source = make_tiny_formatted(tmp_path / "org", samples, b="")
    options = FilterOptions(0.5, 2.0, 1.0, 2.0, keep_all=True)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert {utt: entry.reason for utt, entry in dropped.items()} == {
        "b": "empty_text",
        "c": "empty_audio",
    }


def test_filter_data_dir_text_without_letters_is_listed(tmp_path):
    samples = {"a": 1000, "b": 1000, "c": 1000}
    source = make_tiny_formatted(tmp_path / "org", samples, b="؟ !", c="۱۲")
    options = FilterOptions(keep_all=True)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert dropped == {"b": Dropped("no_letters", "؟ !")}


def test_filter_data_dir_incomplete_utterance_is_listed(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1000, "b": 1000})
    write_table(source / "wav.scp", {"a": "/w/a.wav"})
    report = filter_data_dir(source, tmp_path / "out", FS, FilterOptions())
    assert report.dropped == {"b": Dropped("incomplete", "missing in wav.scp")}


def test_filter_data_dir_report_counts_formatting_too(tmp_path):
    samples = {"a": 1800_000, "b": 1800_000, "c": 1}
    source = make_tiny_formatted(tmp_path / "org", samples)
    write_dropped(source / "dropped.tsv", {"z": Dropped("unreadable", "z.wav")})
    options = FilterOptions(min_duration_sec=0.5)
    report = filter_data_dir(source, tmp_path / "out", FS, options)
    assert report.describe() == (
        "kept 2 utterances, 1.00 h, speakers: 2; dropped 2 (1 too_short, 1 unreadable)"
    )
    assert set(read_dropped(tmp_path / "out" / "dropped.tsv")) == {"c", "z"}


def test_filter_data_dir_nothing_left_raises_with_reasons(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1, "b": 2})
    with pytest.raises(ValueError, match=r"no utterance .*'too_short': 2"):
        filter_data_dir(source, tmp_path / "out", FS, FilterOptions(1.0))
    assert not (tmp_path / "out").exists()


def test_filter_data_dir_unformatted_source_raises(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1})
    (source / "utt2num_samples").unlink()
    with pytest.raises(FileNotFoundError, match="Run the formatting"):
        filter_data_dir(source, tmp_path / "out", FS, FilterOptions())
