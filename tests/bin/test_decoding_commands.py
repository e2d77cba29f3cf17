"""divide_decoding and collect_decoding in the order of stage 7."""

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.data.kaldi import read_table, write_table


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    noise = np.random.default_rng(0).normal(0, 0.1, 24000)
    for utt_id in ("u1", "u2", "u3"):
        write_wav(folder / f"{utt_id}.wav", noise, 24000)
    ids = ("u1", "u2", "u3")
    write_table(folder / "wav.scp", {u: folder / f"{u}.wav" for u in ids})
    write_table(folder / "text", dict.fromkeys(ids, "سلام"))
    return folder


def test_commands_of_stage_7_decode_once_and_draw(run, data_dir, tmp_path):
    out = tmp_path / "test"
    divide = ["divide_decoding", "--text", data_dir / "text", "--out_dir", out]
    assert run(*divide, "--nj", 2) == (0, "2\n", "")
    for job, waveform in ((1, np.zeros(24000)), (2, np.full(24000, 0.1))):
        for utt_id in read_table(out / f"log/keys.{job}.scp"):
            write_wav(out / f"log/output.{job}/wav/{utt_id}.wav", waveform, 24000)
    assert run(*divide, "--nj", 2) == (0, "0\n", "")
    collect = ["collect_decoding", "--data_dir", data_dir, "--out_dir", out]
    status, said, _ = run(*collect, "--pictures", 2)
    assert (status, said) == (
        0,
        "test: 3 utterances, 0.05 minutes; 2 silent, 0 clipped, 0 short, 0 long\n",
    )
    images = sorted(path.name for path in (out / "images").iterdir())
    assert images == ["u1.png", "u2.png"]


def test_collect_decoding_nothing_decoded_fails_in_one_line(run, data_dir, tmp_path):
    words = ["--data_dir", data_dir, "--out_dir", tmp_path / "test"]
    status, _, said = run("collect_decoding", *words)
    assert status == 1
    assert said.startswith("error: none of 3 utterances was decoded")
    assert said.count("\n") == 1


def test_collect_decoding_bad_natural_speech_costs_its_picture_alone(
    run, data_dir, tmp_path
):
    out = tmp_path / "test"
    for utt_id in ("u1", "u3"):
        write_wav(out / f"wav/{utt_id}.wav", np.full(24000, 0.1), 24000)
    (data_dir / "u1.wav").write_bytes(b"")
    status, said, _ = run("collect_decoding", "--data_dir", data_dir, "--out_dir", out)
    assert (status, said.split("; ")[-1]) == (0, "1 failed, see failures.tsv\n")
    assert [path.name for path in (out / "images").iterdir()] == ["u3.png"]


def test_divide_decoding_missing_text_fails(run, tmp_path):
    words = ["--text", tmp_path / "absent", "--out_dir", tmp_path]
    status, out, said = run("divide_decoding", *words)
    assert (status, out) == (1, "") and "absent" in said
