import pytest

from espnet_vibevoice.data.data_dir import validate_data_dir
from espnet_vibevoice.data.dropped import Dropped, read_dropped, write_dropped
from espnet_vibevoice.data.filtering import FilterOptions, filter_data_dir
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.data.quality import QualityLimit

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
        "a": Dropped("too_short", "0.500 s", "0.5 s"),
        "d": Dropped("too_long", "2.000 s", "2 s"),
    }


def test_filter_data_dir_speaking_rate_drops_both_ends(tmp_path):
    samples = {"a": 1000, "b": 100, "c": 10000}  # 10, 100 and 1 letters per second
    source = make_tiny_formatted(tmp_path / "org", samples)
    options = FilterOptions(min_chars_per_sec=2, max_chars_per_sec=50)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert dropped == {
        "b": Dropped("too_many_chars_per_sec", "100.00", "50"),
        "c": Dropped("too_few_chars_per_sec", "1.00", "2"),
    }


def test_filter_data_dir_keep_all_drops_unusable_alone(tmp_path):
    samples = {"a": 20, "b": 1000, "c": 0, "d": 99999, "e": 1}
    source = make_tiny_formatted(tmp_path / "org", samples, b="")
    options = FilterOptions(0.5, 2.0, 1.0, 2.0, keep_all=True)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert {utt: entry.reason for utt, entry in dropped.items()} == {
        "b": "empty_text",
        "c": "empty_audio",
        "e": "too_short",
    }


def test_filter_data_dir_text_without_letters_is_listed(tmp_path):
    samples = {"a": 1000, "b": 1000, "c": 1000}
    source = make_tiny_formatted(tmp_path / "org", samples, b="؟ !", c="۱۲")
    options = FilterOptions(keep_all=True)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert dropped == {"b": Dropped("no_letters", "؟ !")}


def test_filter_data_dir_text_without_letters_is_shown_as_the_corpus_has_it(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1000, "b": 1000}, b=".")
    write_table(source / "text.raw", {"a": "x", "b": "\U0001f600"})
    dropped = filter_data_dir(source, tmp_path / "out", FS, FilterOptions()).dropped
    assert dropped == {"b": Dropped("no_letters", "\U0001f600")}


def test_filter_data_dir_incomplete_utterance_is_listed(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1000, "b": 1000})
    write_table(source / "wav.scp", {"a": "/w/a.wav"})
    report = filter_data_dir(source, tmp_path / "out", FS, FilterOptions())
    assert report.dropped == {"b": Dropped("missing_audio", "missing in wav.scp")}


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


def test_filter_data_dir_clipped_source_is_dropped(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", dict.fromkeys("abc", 1000))
    write_table(source / "utt2clipped", {"a": "0.000000", "b": "0.01", "c": "0.02"})
    options = FilterOptions(max_clipped_share=0.01)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert dropped == {"c": Dropped("clipped", "2.0000%", "1.0000%")}


def test_filter_data_dir_low_quality_is_dropped_and_unknown_kept(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", dict.fromkeys("abcd", 1000))
    write_table(source / "utt2quality", {"a": 0.8, "b": 0.7, "c": "-", "d": 0.9})
    write_table(source / "utt2cer", {"a": 0.1, "b": 0, "c": 0, "d": 0.2})
    limits = tuple(map(QualityLimit.parse, ("quality>=0.8", "cer<=0.1")))
    options = FilterOptions(quality_limits=limits)
    dropped = filter_data_dir(source, tmp_path / "out", FS, options).dropped
    assert dropped == {
        "b": Dropped("low_match_quality", "quality 0.7", "quality>=0.8"),
        "d": Dropped("low_match_quality", "cer 0.2", "cer<=0.1"),
    }


def test_filter_data_dir_sentence_of_test_set_leaves_training(tmp_path):
    samples = dict.fromkeys("abc", 1000)
    source = make_tiny_formatted(tmp_path / "org", samples, b="سلام، دنیا!", c="خوب")
    held_out = make_tiny_formatted(tmp_path / "test", {"t": 1000}, t="سلام دنیا")
    options = FilterOptions()
    report = filter_data_dir(source, tmp_path / "out", FS, options, held_out=[held_out])
    assert report.dropped == {
        "b": Dropped("duplicate_text", "is in test: t", "one set")
    }


def test_filter_data_dir_above_limit_raises_and_lists_without_tables(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1, "b": 1000, "c": 999})
    out, options = tmp_path / "out", FilterOptions(0.5)
    message = r"1 of 3 .*limit is 30.00%.*largest reason is too_short: 1 \(33.33%\)"
    with pytest.raises(ValueError, match=message):
        filter_data_dir(source, out, FS, options, max_dropped=0.3)
    assert sorted(p.name for p in out.iterdir()) == ["dropped.tsv", "filter_report.txt"]
    assert filter_data_dir(source, out, FS, options, max_dropped=0.34)


def test_filter_data_dir_again_gives_same_bytes(tmp_path):
    source = make_tiny_formatted(tmp_path / "org", {"a": 1, "b": 1000, "c": 999})
    contents = []
    for _ in range(2):
        filter_data_dir(source, tmp_path / "out", FS, FilterOptions(0.5))
        files = sorted((tmp_path / "out").iterdir())
        contents.append([(file.name, file.read_bytes()) for file in files])
    assert contents[0] == contents[1]
