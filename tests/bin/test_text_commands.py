"""The commands of stages 1 and 4 that read texts."""

import pytest

from espnet_vibevoice.data.kaldi import write_table

RAW = {"u1": "ساعت ۱۰:۳۰ 😊", "u2": "سلام", "u3": "😊"}


@pytest.fixture
def folder(tmp_path):
    write_table(tmp_path / "tr" / "text", RAW)
    return tmp_path / "tr"


def test_normalize_data_dir_says_what_it_did_and_what_is_lost(run, folder, caplog):
    status, said, _ = run("normalize_data_dir", folder, "--cleaner", "persian")
    assert status == 0
    assert said == (
        f"{folder}: 3 texts cleaned, 2 changed; dropped 2 characters of 2 texts: "
        "'😊' U+1F60A (2); nothing to speak is left of 1 (u3)\n"
    )
    assert "u1: dropped, no reading is known: '😊' U+1F60A (1)" in caplog.text
    again = run("normalize_data_dir", folder, "--cleaner", "persian")
    assert again == (0, f"{folder}: text is up to date\n", "")


def test_normalize_data_dir_many_losses_are_named_in_a_file(run, folder, caplog):
    write_table(folder / "text", {f"u{index:02}": "سلام б" for index in range(30)})
    run("normalize_data_dir", folder, "--cleaner", "persian")
    assert caplog.text.count("no reading is known") == 20
    assert f"and 10 more: {folder}/unknown_characters.tsv" in caplog.text


def test_normalize_data_dir_unknown_cleaner_fails(run, folder):
    status, _, said = run("normalize_data_dir", folder, "--cleaner", "tacotron")
    assert status == 1
    assert said.startswith("error: cleaner is tacotron, VibeVoice models have none and")
    assert [path.name for path in folder.iterdir()] == ["text"]


def test_normalize_data_dir_only_drop_stale_cleans_nothing(run, folder):
    run("normalize_data_dir", folder, "--cleaner", "persian")
    write_table(folder / "text", {"u1": "۵"})
    status, said, _ = run("normalize_data_dir", folder, "--only_drop_stale")
    assert (status, said) == (0, f"{folder}: text is new, removed the old text.raw\n")
    assert (folder / "text").read_text(encoding="utf-8") == "u1 ۵\n"


@pytest.fixture
def sets(tmp_path):
    """Training set of 4, test set of 1; with bytes as tokens, half a second each."""
    texts = {"u1": "aaaa", "u2": "aaaaaa", "u3": "aaaaaaaa", "u4": "a" * 31}
    for name, chosen in (("tr", list(texts)), ("ev", ["u2"])):
        write_table(tmp_path / name / "text", {key: texts[key] for key in chosen})
        samples = dict.fromkeys(chosen, 3200 * 8)
        write_table(tmp_path / name / "utt2num_samples", samples)
    return tmp_path


def report(run, sets, base, *options, window="5"):
    words = [sets / "tr", sets / "ev", "--base", base, "--output", sets / "rate.txt"]
    conf = f"--tts_conf text_window={window}"
    words += ["--window_args", sets / "window_args", f"--train_args={conf}"]
    return run("report_token_rate", *words, *options)


def test_report_token_rate_writes_figures_and_picture(run, sets, tiny_base):
    status, said, _ = report(run, sets, tiny_base, "--max_lagging_share", 0.75)
    assert status == 0
    assert (sets / "rate.txt").read_text(encoding="utf-8") == said
    assert said.startswith("tr: 4 utterances, 53 tokens, 32 frames; ")
    assert "most tokens per second: u4 30.00, u3 8.44, u2 6.56, u1 4.69" in said
    assert "ev: 1 utterances, 7 tokens, 8 frames; " in said
    assert (sets / "rate.png").read_bytes().startswith(b"\x89PNG")
    assert (sets / "window_args").read_bytes() == b""


def test_report_token_rate_lagging_text_fails_with_the_window_to_set(
    run, sets, tiny_base
):
    # 5, 7, 9 and 32 tokens in 8 frames: 5 tokens at once, else 6 / 8 of the tokens
    status, _, said = report(run, sets, tiny_base)
    assert status == 1
    assert "text lags behind in 3 utterances (75.0 %), first u4: more than 1 %" in said
    assert "Set tts_conf: {text_window: 24} (or larger, or auto)" in said
    assert (sets / "rate.txt").is_file() and (sets / "rate.png").is_file()


@pytest.mark.parametrize(
    ("share", "window"), [(0.01, 24), (0.25, 7), (0.5, 6), (0.75, 5)]
)
def test_report_token_rate_auto_takes_the_smallest_that_keeps_up(
    run, sets, tiny_base, share, window
):
    options = ("--max_lagging_share", share)
    status, said, _ = report(run, sets, tiny_base, *options, window="auto")
    assert status == 0
    assert said.endswith(f"text_window: auto takes {window}\n")
    written = (sets / "window_args").read_text(encoding="utf-8")
    assert written == f"--tts_conf text_window={window}\n"


def test_report_token_rate_long_list_shows_progress(run, sets, tiny_base, monkeypatch):
    from espnet_vibevoice.text import token_rate

    monkeypatch.setattr(token_rate, "LONG_LIST", 3)
    _, _, logged = report(run, sets, tiny_base, "--max_lagging_share", 1)
    assert logged.count("progress: 4/4") == 1
