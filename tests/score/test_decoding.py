import os

import numpy as np
import pytest

from espnet_vibevoice.data.audio import is_whole_wav, write_wav
from espnet_vibevoice.data.kaldi import read_lines, read_table, write_table
from espnet_vibevoice.score.decoding import (
    collect_decoding,
    divide_decoding,
    inspect_wav,
    summarize_decoding,
)

FS = 24000
TEXT = {f"u{index}": "سلام" for index in range(5)}


def make_noise(seconds, level=0.1):
    return np.random.default_rng(0).normal(0, level, round(seconds * FS))


@pytest.fixture
def text(tmp_path):
    write_table(tmp_path / "text", TEXT)
    return tmp_path / "text"


@pytest.fixture
def out_dir(tmp_path):
    """What two jobs left when they were killed: u0, u1 and half of u3."""
    folder = tmp_path / "out"
    for job, utt_id in ((1, "u0"), (1, "u1"), (2, "u3")):
        write_wav(folder / f"log/output.{job}/wav/{utt_id}.wav", make_noise(1), FS)
        picture = folder / f"log/output.{job}/probs/{utt_id}.png"
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(utt_id.encode())
    os.truncate(folder / "log/output.2/wav/u3.wav", 9000)
    (folder / "log/output.1/probs/u1.png").unlink()
    (folder / "log/keys.7.scp").write_text("of an earlier division\n")
    return folder


def list_files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_divide_decoding_keeps_whole_wavs_with_their_pictures(text, out_dir):
    whole = (out_dir / "log/output.1/wav/u0.wav").read_bytes()
    assert divide_decoding(text, out_dir, nj=2) == 2
    assert list_files(out_dir) == [
        "log/keys.1.scp",
        "log/keys.2.scp",
        "probs/u0.png",
        "wav/u0.wav",
        "wav/u1.wav",
    ]
    assert (out_dir / "wav/u0.wav").read_bytes() == whole
    assert (out_dir / "probs/u0.png").read_bytes() == b"u0"


@pytest.mark.parametrize(("nj", "jobs"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_divide_decoding_jobs_cover_the_rest_once(text, out_dir, nj, jobs):
    assert divide_decoding(text, out_dir, nj) == jobs
    keys = [
        line
        for job in range(1, jobs + 1)
        for line in read_lines(out_dir / f"log/keys.{job}.scp")
    ]
    assert keys == ["u2 سلام", "u3 سلام", "u4 سلام"]
    assert len(list((out_dir / "log").iterdir())) == jobs


def test_divide_decoding_again_loses_nothing(text, out_dir):
    divide_decoding(text, out_dir, nj=2)
    before = list_files(out_dir)
    assert divide_decoding(text, out_dir, nj=2) == 2
    assert list_files(out_dir) == before


def test_divide_decoding_nothing_left_gives_no_job(text, out_dir):
    for utt_id in TEXT:
        write_wav(out_dir / f"log/output.3/wav/{utt_id}.wav", make_noise(0.1), FS)
    assert divide_decoding(text, out_dir, nj=2) == 0
    assert list_files(out_dir / "log") == []
    assert list_files(out_dir / "wav") == [f"{utt_id}.wav" for utt_id in TEXT]


def test_divide_decoding_first_run_hands_out_all(text, tmp_path):
    assert divide_decoding(text, tmp_path / "new", nj=2) == 2
    assert len(read_lines(tmp_path / "new/log/keys.1.scp")) == 3
    assert len(read_lines(tmp_path / "new/log/keys.2.scp")) == 2


def test_collect_decoding_missing_wavs_raises(out_dir):
    message = "3 of 5 utterances have no wav in .*wav: u2; u3; u4. .*rerun stage 7"
    with pytest.raises(FileNotFoundError, match=message):
        collect_decoding(TEXT, out_dir)
    assert not (out_dir / "wav/wav.scp").exists()


def test_collect_decoding_writes_lists_in_order(out_dir):
    for utt_id in ("u2", "u3", "u4"):
        write_wav(out_dir / f"log/output.1/wav/{utt_id}.wav", make_noise(0.5), FS)
    (out_dir / "log/output.2/wav/u3.wav").unlink()
    decoded = collect_decoding(TEXT, out_dir)
    assert [utterance.utt_id for utterance in decoded] == list(TEXT)
    scp = read_table(out_dir / "wav/wav.scp")
    assert scp == {utt_id: f"{out_dir}/wav/{utt_id}.wav" for utt_id in TEXT}
    assert all(is_whole_wav(path) for path in scp.values())
    rows = read_lines(out_dir / "utterances.tsv")
    assert rows[0] == "utterance\tseconds\tlevel_dbfs\tpeak\tfaults"
    assert rows[1].startswith("u0\t1.000\t-20.") and rows[1].endswith("\t")
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("seconds", "level", "text", "faults"),
    [
        (1.0, 0.1, "سلام", ()),
        (1.0, 0.0, "سلام", ("silent",)),
        (1.0, 0.0005, "سلام", ("silent",)),  # -66 dBFS
        (1.0, 0.002, "سلام", ()),  # -54 dBFS
        (1.0, 0.6, "سلام", ("clipped",)),
        (0.07, 0.1, "سلام", ("short",)),
        (0.09, 0.1, "سلام", ()),
        (2.1, 0.1, "سلام", ("long",)),
        (1.9, 0.1, "سلام", ()),
        (1.9, 0.1, "و", ()),  # less than four letters count as four
        (1.9, 0.1, "س" * 100, ("short",)),
        (2.1, 0.0, "سلام", ("silent", "long")),
    ],
)
def test_inspect_wav_names_the_faults(tmp_path, seconds, level, text, faults):
    path = tmp_path / "a.wav"
    write_wav(path, make_noise(seconds, level), FS)
    assert inspect_wav("a", path, text).faults == faults


def test_inspect_wav_measures_known_sound(tmp_path):
    time = np.arange(FS) / FS
    write_wav(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), FS)
    found = inspect_wav("a", tmp_path / "a.wav", "سلام")
    assert found.seconds == 1.0
    assert found.level_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert found.peak == pytest.approx(0.5, abs=1e-3)


def test_summarize_decoding_counts_each_fault(tmp_path):
    decoded = []
    for index, (seconds, level) in enumerate([(3.0, 0.0), (1.0, 0.1), (0.05, 0.1)]):
        path = tmp_path / f"{index}.wav"
        write_wav(path, make_noise(seconds, level), FS)
        decoded.append(inspect_wav(str(index), path, "سلام"))
    assert summarize_decoding(decoded) == (
        "3 utterances, 0.07 minutes; 1 silent, 0 clipped, 1 short, 1 long"
    )
