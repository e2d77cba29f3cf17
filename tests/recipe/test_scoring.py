"""Stage 7: what is scored, what is not done twice, and what bad input leads to."""

import os
import re
import shutil
import signal
import sys

import pytest
import soundfile

from espnet_vibevoice.score.decoding_journal import DecodingRecord, append_records
from espnet_vibevoice.score.reason_list import read_reasons
from espnet_vibevoice.score.stored import read_scores
from tests.recipe.mini_recipe import HUNG_SEC

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

SYSTEMS = ["natural", "resynthesis", "synthesis"]
UTTERANCES = ["fa_f1_test_0001", "fa_f2_test_0002"]


def read_rows(recipe):
    rows = read_scores(recipe.decoded / "score").rows
    return {(row["utterance"], row["system"]): row for row in rows}


def test_scores_of_all_systems_stand_in_table_and_results(finished):
    stored = read_scores(finished.decoded / "score")
    for measure in ("cer", "wer", "silence_share", "failure_rate"):
        assert list(stored.summary[measure]) == SYSTEMS
        assert {f["n"] for f in stored.summary[measure].values()} == {2}
    assert stored.summary["duration_ratio"]["resynthesis"]["value"] == 1
    assert stored.meta["recognizers"][0]["name"] == "mini_ctc"
    assert stored.meta["real_time_factor"] > 0
    rows = read_rows(finished)
    assert sorted(rows) == [(u, s) for u in UTTERANCES for s in SYSTEMS]
    assert {row["status"] for row in rows.values()} == {"ok"}
    text = (finished.experiment / "RESULTS.md").read_text(encoding="utf-8")
    value = stored.summary["cer"]["synthesis"]["value"]
    assert re.search(rf"\|test\|synthesis\|2\|.*\|{100 * value:.2f}\|", text)
    assert "./tts.sh --lang fa" in text


def test_scoring_again_decodes_and_hears_nothing_and_gives_the_same(copied):
    score = copied.decoded / "score"
    before = read_scores(score)
    watched = [*copied.decoded.rglob("*"), *copied.ceilings.rglob("*")]
    times = {p: p.stat().st_mtime_ns for p in watched if p.is_file()}
    output = copied.succeed(7, 7)
    assert "jobs, logs:" not in output
    assert {p: p.stat().st_mtime_ns for p in times} == times
    assert read_scores(score) == before


def test_scores_that_were_removed_come_back_the_same_without_decoding(copied):
    score = copied.decoded / "score"
    before = read_scores(score)
    results = copied.experiment / "RESULTS.md"
    with results.open("a", encoding="utf-8") as file:
        file.write("\nWritten by hand.\n")
    shutil.rmtree(score)
    output = copied.succeed(7, 7)
    assert "jobs, logs: exp/tts_t/decode" in output  # synthesis is heard again
    assert "log/decode." not in output
    after = read_scores(score)
    assert (after.summary, after.rows) == (before.summary, before.rows)
    text = results.read_text(encoding="utf-8")
    assert text.count("## Environments") == 1 and "\nWritten by hand.\n" in text


def test_wav_that_went_missing_is_a_row_with_its_reason_and_status_3(copied):
    before = read_rows(copied)
    (copied.decoded / f"wav/{UTTERANCES[0]}.wav").unlink()
    for _ in range(2):  # the status stays until it is mended
        result = copied.run(7, 7)
        assert result.returncode == 3, result.stdout
        assert "no value: synthesis: 1 utterances are failed" in result.stdout
        assert "Stage 7: done" in result.stdout
    after = read_rows(copied)
    row = after.pop((UTTERANCES[0], "synthesis"))
    assert (row["status"], row["cer"], row["faults"]) == ("failed", "1", "empty")
    assert "no such file" in row["reason"]
    assert after == {key: before[key] for key in after}


def test_recogniser_that_is_missing_or_damaged_leaves_the_other_measures(copied):
    before = read_scores(copied.decoded / "score").summary
    kept = copied.root / "kept"
    copied.recognizer.rename(kept)
    path = copied.recognizer.parents[1] / "run.sh"
    # it reads what is not meant for it; what it makes is cut off, then whole
    path.write_text(
        "#!/bin/sh\ncat >/dev/null\necho made\ncp -r ../../../kept exp/asr_mini\n"
        "truncate -s 100 exp/asr_mini/valid.cer_ctc.best.pth\nexit 1\n"
    )
    path.chmod(0o755)
    result = copied.run(7, 7)
    assert result.returncode == 3, result.stdout
    told = "recogniser mini_ctc is not there yet: ../asr1/run.sh makes it"
    assert told in result.stdout and "\nmade\n" in result.stdout
    assert "../asr1/run.sh failed" in result.stdout
    assert "recogniser mini_ctc cannot be used, scoring goes on" in result.stdout
    summary = read_scores(copied.decoded / "score").summary
    for system in SYSTEMS:
        assert summary["cer"][system]["value"] is None
        assert "does not load" in summary["cer"][system]["reason"]
    assert summary["mcd"] == before["mcd"]
    shutil.rmtree(copied.recognizer)
    path.write_text("#!/bin/sh\ncp -r ../../../kept exp/asr_mini\n")
    assert told in copied.succeed(7, 7)
    assert read_scores(copied.decoded / "score").summary == before


def test_wrong_scoring_options_are_told_before_anything_is_decoded(copied):
    shutil.rmtree(copied.decoded)
    result = copied.run(7, 7, "--asr_config", "a.yaml")
    assert result.returncode == 2, result.stdout
    assert "error: --asr_config has 1 entries and --asr_model_file 0" in result.stdout
    assert not copied.decoded.exists()


def test_failed_utterance_is_decoded_once_more_if_asked(finished, copied):
    wav = copied.decoded / f"wav/{UTTERANCES[1]}.wav"
    listed = copied.decoded / "failures.tsv"
    options = ("--skip_scoring", "true", "--batch_size", "1")
    wav.unlink()
    record = DecodingRecord(utterance=UTTERANCES[1], reason="too long")
    append_records(copied.decoded / "log/output.2/journal.jsonl", [record])
    (copied.decoded / ".done").unlink()
    copied.succeed(7, 7, *options)
    assert read_reasons(listed) == {UTTERANCES[1]: "too long"}
    assert not wav.exists()
    copied.succeed(7, 7, *options, "--retry_failed", "true")
    assert not listed.exists()
    frames = soundfile.info(finished.decoded / f"wav/{UTTERANCES[1]}.wav").frames
    assert soundfile.info(wav).frames == frames


def test_interrupt_while_a_stamp_is_looked_at_ends_the_run_and_keeps_wavs(
    copied, started
):
    (copied.decoded / ".done").unlink()
    before = copied.read_files("exp")
    stub = copied.root / "bin/python3"  # a command that takes Ctrl-C for a failure
    stub.parent.mkdir()
    stub.write_text(
        '#!/bin/bash\n[[ "$*" == *"stamp check"*.started* ]] || '
        f'exec {sys.executable} "$@"\n'
        f"trap 'exit 130' INT\ntouch {copied.root}/looks\n"
        "for _ in {1..20000}; do sleep 0.1; done\n"
    )
    stub.chmod(0o755)
    path = copied.environment()["PATH"]
    run = started(copied, 7, 7, PATH=f"{stub.parent}:{path}")
    run.wait_for((copied.root / "looks").is_file)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(HUNG_SEC) == 130
    assert copied.read_files("exp") == before


def test_options_take_the_place_of_the_recipe_and_none_scores_without(copied):
    output = copied.succeed(7, 7, "--score_config", "none")
    assert "CER (%)" not in output and "silence (%)" in output
    summary = read_scores(copied.decoded / "score").summary
    assert summary["cer"]["natural"]["reason"] == "no recogniser is configured"


def test_skip_scoring_decodes_only(copied):
    shutil.rmtree(copied.decoded)
    shutil.rmtree(copied.ceilings)
    copied.succeed(7, 7, "--skip_scoring", "true", "--inference_nj", "1")
    assert (copied.decoded / "decoding.tsv").is_file()
    assert not (copied.decoded / "score").exists()
    assert not copied.ceilings.exists()


def test_scoring_killed_goes_on_and_ends_like_an_undisturbed_run(
    finished, copied, started
):
    shutil.rmtree(copied.decoded / "score")
    shutil.rmtree(copied.ceilings)
    moments = [
        copied.ceilings / "resynthesis/wav" / f"{UTTERANCES[0]}.wav",
        copied.ceilings / "natural/asr_mini_ctc/parts/journal.1.tsv",
        copied.decoded / "score/synthesis/asr_mini_ctc/text",
        copied.ceilings / "natural/acoustics.jsonl",
    ]
    one_job = ("--nj", "1")  # so that something is left to do behind the first wav
    for moment in moments:
        run = started(copied, 7, 7, *one_job)
        run.wait_for(moment.is_file)
        run.kill_all()
    copied.succeed(7, 7, *one_job)
    ours = read_scores(copied.decoded / "score")
    wanted = read_scores(finished.decoded / "score")
    assert (ours.summary, ours.rows) == (wanted.summary, wanted.rows)
