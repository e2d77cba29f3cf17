"""The data commands in the order in which a recipe calls them."""

import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data.dropped import read_dropped
from espnet_vibevoice.data.kaldi import read_table, write_table


@pytest.fixture
def corpus(tmp_path):
    """Data directory of four utterances at 16 kHz, the last one of 0.01 s."""
    folder = tmp_path / "data" / "tr"
    utterances = ["u1", "u2", "u3", "u4"]
    for index, utt_id in enumerate(utterances):
        noise = np.random.default_rng(index).standard_normal(
            160 if index == 3 else 8000
        )
        soundfile.write(tmp_path / f"{utt_id}.wav", 0.1 * noise, 16000)
    write_table(folder / "wav.scp", {u: tmp_path / f"{u}.wav" for u in utterances})
    write_table(folder / "text", {u: f"متن {u}" for u in utterances})
    write_table(folder / "utt2spk", dict.fromkeys(utterances, "s1"))
    write_table(folder / "spk2utt", {"s1": " ".join(utterances)})
    return folder


def test_commands_of_a_recipe_make_a_filtered_set(run, corpus, tmp_path):
    org, out, log = tmp_path / "org", tmp_path / "out", tmp_path / "log"
    assert run("validate_data_dir", corpus) == (0, f"{corpus}: 4 utterances\n", "")
    split = run("split_scp", corpus / "wav.scp", "--nj", 3, "--out", log / "w.JOB.scp")
    assert split == (0, "3\n", "")
    for job in (1, 2, 3):
        options = ["--out_dir", org, "--job", job, "--fs", 24000, "--loudness", "none"]
        status, _, said = run(
            "format_wav_scp", "--wav_scp", log / f"w.{job}.scp", *options
        )
        assert status == 0 and said.startswith("progress: 0/")
    collected = run("collect_parts", "--source", corpus, "--out_dir", org, "--nj", 3)
    assert collected == (0, f"{org}: 4 utterances, 0.00 h, 0 unusable\n", "")
    words = ["--source", org, "--target", out, "--min_wav_duration", 0.1]
    words += ["--max_dropped", 0.25]
    status, said, _ = run("filter_data_dir", *words)
    summary, _, *table = said.splitlines()
    assert status == 0 and summary == (
        f"{out}: kept 3 utterances, 0.00 h, speakers: 1; dropped 1 (1 too_short)"
    )
    assert [line.split() for line in table] == [
        ["kept", "3", "0.00"],
        ["dropped", "1", "0.00"],
        ["too_short", "1", "0.00"],
        ["silence", "cut", "off", "-", "0.00"],
    ]
    assert (out / "filter_report.txt").read_text() in said
    assert read_table(out / "utt2num_samples") == dict.fromkeys(
        ["u1", "u2", "u3"], "12000"
    )
    assert list(read_dropped(out / "dropped.tsv")) == ["u4"]


def test_format_wav_scp_unreadable_fails_in_one_line(run, corpus, tmp_path):
    (tmp_path / "u2.wav").write_bytes(b"no audio")
    options = ["--wav_scp", corpus / "wav.scp", "--out_dir", tmp_path / "org"]
    status, _, said = run("format_wav_scp", *options)
    (error,) = [line for line in said.splitlines() if "progress" not in line]
    assert status == 1
    assert error.startswith("error: 1 of 4 utterances are unusable, the limit is 1.00%")
    assert "u2: unreadable" in error


def test_filter_data_dir_keep_all_keeps_short_ones(run, corpus, tmp_path):
    write_table(
        corpus / "utt2num_samples", dict.fromkeys(["u1", "u2", "u3", "u4"], 999)
    )
    words = ["--source", corpus, "--target", tmp_path / "out", "--keep_all"]
    status, said, _ = run("filter_data_dir", *words, "--min_wav_duration", 1)
    assert status == 0 and "kept 4 utterances" in said


def test_copy_data_dir_with_list_copies_those(run, corpus, tmp_path):
    (tmp_path / "list").write_text("u3\nu1\n")
    target = tmp_path / "sub"
    words = [corpus, target, "--utt_list", tmp_path / "list"]
    assert run("copy_data_dir", *words) == (0, f"{target}: 2 utterances\n", "")
    assert list(read_table(target / "text")) == ["u1", "u3"]


def test_fix_data_dir_reports_dropped(run, corpus):
    write_table(corpus / "text", {"u1": "x", "u2": "y", "u3": "z"})
    status, said, _ = run("fix_data_dir", corpus)
    assert status == 0
    assert (
        said == f"{corpus}: dropped 1 utterances: u4: missing_text: missing in text\n"
    )


def test_fix_data_dir_above_limit_fails_and_changes_no_table(run, corpus):
    write_table(corpus / "text", {"u1": "x", "u2": "y", "u3": "z"})
    status, _, said = run("fix_data_dir", corpus, "--max_dropped", 0.2)
    assert status == 1
    assert "1 of 4 utterances are unusable, the limit is 20.00%: u4: miss" in said
    assert list(read_table(corpus / "wav.scp")) == ["u1", "u2", "u3", "u4"]
    assert read_dropped(corpus / "dropped.tsv")["u4"].reason == "missing_text"


def test_fix_data_dir_says_what_was_mended(run, corpus):
    text = (corpus / "text").read_bytes()
    (corpus / "text").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    status, said, _ = run("fix_data_dir", corpus)
    assert (status, said.splitlines()) == (
        0,
        [
            f"mended {corpus}/text: byte order mark removed: 1 lines",
            f"mended {corpus}/text: CRLF turned into LF: 4 lines",
            f"{corpus}: dropped 0 utterances",
        ],
    )
    assert (corpus / "text").read_bytes() == text


def test_filter_data_dir_above_limit_fails_naming_the_reason(run, corpus, tmp_path):
    samples = {"u1": 99, "u2": 24000, "u3": 24000, "u4": 24000}
    write_table(corpus / "utt2num_samples", samples)
    words = ["--source", corpus, "--target", tmp_path / "out"]
    status, _, said = run("filter_data_dir", *words)
    assert status == 1 and "The largest reason is too_short: 1 (25.00%)" in said


def test_format_wav_scp_trim_none_cuts_nothing(run, corpus, tmp_path):
    silence = np.concatenate([np.zeros(8000), soundfile.read(tmp_path / "u1.wav")[0]])
    soundfile.write(tmp_path / "u1.wav", silence, 16000)
    for trim, trimmed in (("none", "0.000 0.000"), ("40", "0.390 0.000")):
        out = tmp_path / trim
        words = ["--wav_scp", corpus / "wav.scp", "--out_dir", out, "--trim_db", trim]
        assert run("format_wav_scp", *words)[0] == 0
        found = read_table(out / "data" / "format.1" / "utt2trim")
        assert found["u1"] == trimmed


def test_check_disjoint_utterances_only_passes_shared_texts(run, corpus, tmp_path):
    for name in ("utt2spk", "wav.scp", "text"):
        table = read_table(corpus / name)
        write_table(tmp_path / "te" / name, {f"x{u}": v for u, v in table.items()})
    words = [corpus, tmp_path / "te"]
    assert run("check_disjoint", *words)[0] == 1
    assert run("check_disjoint", *words, "--utterances_only")[0] == 0


def test_validate_data_dir_fault_fails_in_one_line(run, corpus):
    (corpus / "spk2utt").write_text("s1 u1\n")
    status, _, said = run("validate_data_dir", corpus)
    assert status == 1 and said.count("\n") == 1
    assert "spk2utt is not the inverse of utt2spk" in said


def test_check_disjoint_overlap_fails(run, corpus, tmp_path):
    run("copy_data_dir", corpus, tmp_path / "dv")
    status, _, said = run("check_disjoint", corpus, tmp_path / "dv")
    assert status == 1 and "share utterances: 4 (u1, u2, u3, u4)" in said


def test_split_scp_name_without_job_fails(run, corpus):
    status, _, said = run("split_scp", corpus / "text", "--nj", 2, "--out", "x")
    assert status == 1 and "--out must contain JOB" in said


def test_stamp_check_tells_why_until_written(run, corpus, tmp_path):
    words = [tmp_path / "done", "--option", "fs=24000", "a=b=c", "--input", corpus]
    assert run("stamp", "check", *words) == (1, "not done yet\n", "")
    assert run("stamp", "write", *words) == (0, "", "")
    assert run("stamp", "check", *words) == (0, "", "")
    status, said, _ = run("stamp", "check", *words, "--option", "fs=16000")
    assert (status, said) == (1, "option fs: was '24000', is '16000'\n")


def test_stamp_option_without_value_fails(run, tmp_path):
    status, _, said = run("stamp", "check", tmp_path / "done", "--option", "fs")
    assert status == 1 and "--option wants KEY=VALUE, got fs" in said
