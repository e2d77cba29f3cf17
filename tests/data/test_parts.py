import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.dropped import Dropped, read_dropped, write_dropped
from espnet_vibevoice.data.formatting import FormatOptions, format_part
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.data.parts import collect_parts


def make_tiny_set(root, count=4, num_samples=1600):
    """Data directory of noise at 16 kHz and the sources of its utterances."""
    generator = np.random.default_rng(0)
    utterances = [f"u{i:02d}" for i in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    for utt_id in utterances:
        noise = 0.1 * generator.standard_normal(num_samples)
        soundfile.write(root / f"{utt_id}.wav", noise, 16000)
    data = root / "data"
    wavs = {utt_id: str(root / f"{utt_id}.wav") for utt_id in utterances}
    write_table(data / "wav.scp", wavs)
    write_table(data / "text", dict.fromkeys(utterances, "متن"))
    write_table(data / "utt2spk", dict.fromkeys(utterances, "s1"))
    write_table(data / "spk2utt", {"s1": " ".join(utterances)})
    return data, [AudioSource(*item) for item in wavs.items()]


def make_broken(sources, indices):
    for index in indices:
        with open(sources[index].location, "wb") as file:
            file.write(b"not audio")


def test_collect_parts_makes_valid_data_dir(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    make_broken(sources, [3])
    write_table(data / "spk2gender", {"s1": "f"})
    out = tmp_path / "out"
    for job, part in enumerate((sources[:2], sources[2:]), start=1):
        format_part(part, out, job, FormatOptions(), max_dropped=0.5)
    dropped = collect_parts(data, out, 2, max_dropped=0.25)
    assert list(dropped) == list(read_dropped(out / "dropped.tsv")) == ["u03"]
    for name in ("wav.scp", "text", "utt2spk", "utt2num_samples"):
        assert list(read_table(out / name)) == ["u00", "u01", "u02"]
    assert read_table(out / "utt2num_samples")["u00"] == "2400"
    assert read_table(out / "spk2gender") == {"s1": "f"}


def test_collect_parts_missing_part_raises(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    with pytest.raises(FileNotFoundError, match="formatting job 2 has not finished"):
        collect_parts(data, tmp_path / "out", 2)


def test_collect_parts_utterance_in_no_part_raises(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    format_part(sources[:3], tmp_path / "out", 1, FormatOptions())
    with pytest.raises(ValueError, match=r"no job has formatted: 1 \(u03\)"):
        collect_parts(data, tmp_path / "out", 1)


def test_collect_parts_too_many_unusable_raises(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    make_broken(sources, [3])
    format_part(sources, tmp_path / "out", 1, FormatOptions(), max_dropped=1.0)
    with pytest.raises(ValueError, match="1 of 4 utterances are unusable"):
        collect_parts(data, tmp_path / "out", 1)


def test_collect_parts_lists_what_was_dropped_before(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    write_dropped(data / "dropped.tsv", {"u99": Dropped("not_utf8", "text:7")})
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    assert collect_parts(data, tmp_path / "out", 1) == {}
    listed = read_dropped(tmp_path / "out" / "dropped.tsv")
    assert listed == {"u99": Dropped("not_utf8", "text:7")}


def test_collect_parts_carries_measures_and_other_tables(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    write_table(data / "utt2quality", {f"u{i:02d}": i for i in range(4)})
    format_part(sources[:3], tmp_path / "out", 1, FormatOptions())
    format_part(sources[3:], tmp_path / "out", 2, FormatOptions())
    collect_parts(data, tmp_path / "out", 2)
    out = tmp_path / "out"
    assert read_table(out / "utt2quality")["u03"] == "3"
    assert read_table(out / "utt2trim")["u00"] == "0.000 0.000"
    assert read_table(out / "utt2clipped")["u00"] == "0.000000"


def test_collect_parts_other_order_than_the_source_raises(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    format_part(sources[::-1], tmp_path / "out", 1, FormatOptions())
    with pytest.raises(ValueError, match="its tables are not sorted, or are others"):
        collect_parts(data, tmp_path / "out", 1)
