import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data import formatting
from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.dropped import read_dropped
from espnet_vibevoice.data.formatting import (
    FormatOptions,
    audio_path,
    collect_parts,
    convert_audio,
    format_part,
)
from espnet_vibevoice.data.kaldi import read_table, write_table


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


def read_tree(folder):
    """Content of all files but journals, whose times differ from run to run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "journal.tsv"
    }


def make_broken(sources, indices):
    for index in indices:
        with open(sources[index].location, "wb") as file:
            file.write(b"not audio")


def test_format_part_makes_mono_24k_at_wanted_loudness(tmp_path):
    stereo = 0.02 * np.random.default_rng(0).standard_normal((4410, 2))
    soundfile.write(tmp_path / "a.flac", stereo, 44100)
    source = AudioSource("a", str(tmp_path / "a.flac"))
    assert format_part([source], tmp_path / "out", 1, FormatOptions()) == {}
    part = tmp_path / "out" / "data" / "format.1"
    waveform, fs = load_audio(read_table(part / "wav.scp")["a"])
    assert fs == 24000 and waveform.shape == (2400,)
    assert read_table(part / "utt2num_samples") == {"a": "2400"}
    assert 20 * np.log10(np.sqrt(np.mean(waveform**2))) == pytest.approx(-25, abs=0.01)


def test_convert_audio_without_loudness_only_resamples():
    waveform = np.linspace(-0.5, 0.5, 240, dtype=np.float32)
    options = FormatOptions(fs=24000, loudness_dbfs=None)
    assert (convert_audio(waveform, 24000, options) == waveform).all()


def test_audio_path_slash_in_id_stays_in_its_folder(tmp_path):
    path = audio_path(tmp_path, "spk/../a%", "wav")
    assert path.parent.parent == tmp_path / "data" / "wav"
    assert path.name == "spk%2F..%2Fa%25.wav"


def test_format_part_second_run_redoes_nothing(tmp_path, monkeypatch):
    _, sources = make_tiny_set(tmp_path / "in")
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    before = read_tree(tmp_path / "out")
    monkeypatch.setattr(formatting, "write_bytes_atomic", pytest.fail)
    # Other jobs share the work as well: the same set, now as job 2.
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    format_part(sources, tmp_path / "out", 2, FormatOptions())
    after = read_tree(tmp_path / "out")
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("change", ["source", "options", "output"])
def test_format_part_changed_input_is_redone(tmp_path, change):
    _, sources = make_tiny_set(tmp_path / "in", count=1)
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    path = audio_path(tmp_path / "out", "u00", "wav")
    first = path.read_bytes()
    options = FormatOptions()
    if change == "source":
        soundfile.write(sources[0].location, 0.1 * np.ones(1600), 16000)
    elif change == "options":
        options = FormatOptions(loudness_dbfs=-30.0)
    else:
        path.write_bytes(b"damaged")
    format_part(sources, tmp_path / "out", 1, options)
    assert (path.read_bytes() == first) == (change == "output")
    assert len(path.read_bytes()) == len(first)


def test_format_part_unusable_audio_is_listed_and_the_rest_made(tmp_path):
    _, sources = make_tiny_set(tmp_path / "in")
    make_broken(sources, [1])
    options = FormatOptions()
    dropped = format_part(sources, tmp_path / "out", 3, options, max_dropped_share=0.25)
    assert dropped["u01"].reason == "unreadable"
    part = tmp_path / "out" / "data" / "format.3"
    assert list(read_table(part / "wav.scp")) == ["u00", "u02", "u03"]
    assert read_dropped(part / "dropped.tsv") == dropped


def test_format_part_too_many_unusable_raises_with_count_and_ids(tmp_path):
    _, sources = make_tiny_set(tmp_path / "in")
    make_broken(sources, [0, 2])
    message = (
        r"2 of 4 utterances are unusable, the limit is 1.00%: u00: unreadable.*u02"
    )
    with pytest.raises(ValueError, match=message):
        format_part(sources, tmp_path / "out", 1, FormatOptions())
    assert (tmp_path / "out" / "data" / "format.1" / "dropped.tsv").is_file()


def test_format_part_share_counts_against_the_whole_set(tmp_path):
    _, sources = make_tiny_set(tmp_path / "in")
    make_broken(sources, [0])
    dropped = format_part(sources, tmp_path / "out", 1, FormatOptions(), set_size=100)
    assert list(dropped) == ["u00"]


def test_format_part_writes_progress_lines(tmp_path, capfd):
    _, sources = make_tiny_set(tmp_path / "in", count=2)
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["progress: 0/2", "progress: 1/2", "progress: 2/2"]


def test_collect_parts_makes_valid_data_dir(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in")
    make_broken(sources, [3])
    write_table(data / "spk2gender", {"s1": "f"})
    out = tmp_path / "out"
    for job, part in enumerate((sources[:2], sources[2:]), start=1):
        format_part(part, out, job, FormatOptions(), max_dropped_share=0.5)
    dropped = collect_parts(data, out, 2, max_dropped_share=0.25)
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
    format_part(sources, tmp_path / "out", 1, FormatOptions(), max_dropped_share=1.0)
    with pytest.raises(ValueError, match="1 of 4 utterances are unusable"):
        collect_parts(data, tmp_path / "out", 1)


def test_format_wav_scp_killed_again_and_again_gives_same_bytes(tmp_path):
    data, sources = make_tiny_set(tmp_path / "in", count=30, num_samples=16000)
    format_part(sources, tmp_path / "whole", 1, FormatOptions())
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "espnet_vibevoice.bin.format_wav_scp"]
    command += ["--wav_scp", str(data / "wav.scp"), "--out_dir", str(out)]
    num_killed = 0
    for num_files in range(3, 30, 6):
        job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while job.poll() is None:
            if len(list(out.glob("data/wav/*/*.wav"))) >= num_files:
                os.kill(job.pid, signal.SIGKILL)
                num_killed += job.wait() == -signal.SIGKILL
            time.sleep(0.001)
    assert num_killed >= 2
    journal = out / "data" / "format.1" / "journal.tsv"
    journal.write_bytes(journal.read_bytes()[:-7])  # as if killed within a line
    (out / "data" / "wav" / "00").mkdir(exist_ok=True)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    killed = read_tree(out)
    assert {k: v.replace(b"/killed/", b"/whole/") for k, v in killed.items()} == (
        read_tree(tmp_path / "whole")
    )
