import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data import formatting
from espnet_vibevoice.data.audio import AudioError, load_audio
from espnet_vibevoice.data.audio_source import AudioSource
from espnet_vibevoice.data.dropped import read_dropped
from espnet_vibevoice.data.formatting import (
    FormatOptions,
    audio_path,
    convert_audio,
    format_part,
)
from espnet_vibevoice.data.journal import Measures
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.data.trimming import TrimOptions


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
    converted, measures = convert_audio(waveform, 24000, options)
    assert (converted == waveform).all()
    assert measures == Measures(240, 0, 0, 0, 240)


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
    dropped = format_part(sources, tmp_path / "out", 3, options, max_dropped=0.25)
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


def test_convert_audio_silence_raises_with_level_and_limit():
    options = FormatOptions()
    quiet = np.full(2400, 1e-4, dtype=np.float32)
    with pytest.raises(AudioError, match="silent: -80.0 dBFS, limit -60 dBFS"):
        convert_audio(quiet, 24000, options)
    accepted, _ = convert_audio(quiet, 24000, FormatOptions(min_level_dbfs=None))
    assert 20 * np.log10(np.sqrt(np.mean(accepted**2))) == pytest.approx(-25, abs=0.1)


def test_convert_audio_counts_full_scale_before_scaling():
    stereo = np.full((2400, 2), 0.1, dtype=np.float32)
    stereo[:240, 0] = 1.0
    stereo[:120, 1] = -1.0
    _, measures = convert_audio(stereo, 24000, FormatOptions())
    assert (measures.num_clipped, measures.num_source) == (360, 4800)


def test_convert_audio_trims_and_measures_what_went():
    speech = 0.1 * np.random.default_rng(0).standard_normal(24000)
    silence = np.zeros(24000)
    waveform = np.concatenate([silence, speech, silence]).astype(np.float32)
    converted, measures = convert_audio(waveform, 24000, FormatOptions())
    assert measures[:3] == (24000 + 2 * 2400, 24000 - 2400, 24000 - 2400)
    assert len(converted) == measures.num_samples


def test_convert_audio_peak_limits_the_loudness_without_clipping():
    waveform = np.full(24000, 0.01, dtype=np.float32)
    waveform[::2400] = 0.9
    converted, _ = convert_audio(waveform, 24000, FormatOptions(loudness_dbfs=-10))
    assert np.max(np.abs(converted)) == pytest.approx(1.0, abs=1e-5)
    ratio = converted / waveform
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_format_part_too_long_is_dropped_with_limit(tmp_path):
    _, sources = make_tiny_set(tmp_path / "in", count=1)
    options = FormatOptions(max_file_sec=0.05)
    dropped = format_part(sources, tmp_path / "out", 1, options, max_dropped=1.0)
    assert dropped["u00"].reason == "too_long"
    assert dropped["u00"].limit == "0.05 s"


def test_format_part_resumed_tables_equal_the_first(tmp_path):
    _, sources = make_tiny_set(tmp_path / "in")
    loud = np.concatenate([np.zeros(8000), np.ones(800), 0.1 * np.ones(8000)])
    soundfile.write(sources[0].location, loud, 16000)
    names = ("utt2trim", "utt2clipped", "utt2num_samples")
    found = []
    for job in (1, 2):
        format_part(sources, tmp_path / "out", job, FormatOptions())
        part = tmp_path / "out" / "data" / f"format.{job}"
        found.append([(part / name).read_bytes() for name in names])
    assert found[0] == found[1]
    assert b"u00 0.390 0.000\n" in found[0][0]
    assert b"u00 0.047619\n" in found[0][1]


@pytest.mark.parametrize(
    "change",
    [
        {"trim": None},
        {"trim": TrimOptions(30.0, 0.1)},
        {"trim": TrimOptions(40.0, 0.2)},
        {"min_level_dbfs": None},
        {"max_file_sec": 10.0},
        {"audio_format": "flac"},
    ],
)
def test_format_part_every_option_is_in_the_fingerprint(tmp_path, change):
    _, sources = make_tiny_set(tmp_path / "in", count=1)
    journal = tmp_path / "out" / "data" / "format.1" / "journal.tsv"
    format_part(sources, tmp_path / "out", 1, FormatOptions())
    format_part(sources, tmp_path / "out", 1, FormatOptions(**change))
    fingerprints = {line.split("\t")[1] for line in journal.read_text().splitlines()}
    assert len(fingerprints) == 2


def test_convert_audio_samples_beyond_measure_raise():
    waveform = np.full(240, 0.1, dtype=np.float32)
    waveform[7] = -3e19
    with pytest.raises(AudioError, match=r"not_finite: samples up to 3e\+19, limit"):
        convert_audio(waveform, 24000, FormatOptions())


def test_convert_audio_floats_of_16_bit_size_are_scaled_and_count_as_clipped():
    waveform = 3000 * np.random.default_rng(0).standard_normal(2400).astype(np.float32)
    converted, measures = convert_audio(waveform, 24000, FormatOptions())
    assert np.max(np.abs(converted)) < 1
    assert measures.num_clipped > 2300
