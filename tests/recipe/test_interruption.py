"""Kill -9 at any stage, then the same command: it goes on and ends as if undisturbed.

The moment is chosen by what the run has written, never by time.
"""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from espnet_vibevoice.jobs.driver import is_alive
from espnet_vibevoice.tts.mending import mend_checkpoints
from tests.recipe.mini_recipe import HUNG_SEC, send_kill

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

# Times of files, and numbers of processes, are noted in these.
NOTES = (".done", ".json", "journal.tsv", ".log", ".tmp")


def has_file(folder: Path, pattern: str) -> bool:
    """Tell whether a file that is not empty matches."""
    for path in folder.glob(pattern):
        try:
            if path.is_dir() or path.stat().st_size > 0:
                return True
        except FileNotFoundError:
            continue  # renamed between the two looks
    return False


def has_words(path: Path, words: str) -> bool:
    """Tell whether a file is there and holds some words."""
    return path.is_file() and words in path.read_text("utf-8", errors="replace")


def data_files(recipe, *names):
    """All files below folders, but those that note times."""
    content = recipe.read_files(*names)
    return {name: content[name] for name in content if not name.endswith(NOTES)}


def assert_same_files(ours: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert sorted(ours) == sorted(wanted)
    assert [name for name in ours if ours[name] != wanted[name]] == []


def assert_same_parameters(path: Path, wanted: Path) -> None:
    ours, theirs = torch.load(path), torch.load(wanted)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_data_stages_killed_again_and_again_end_like_an_undisturbed_run(
    new_recipe, started, request
):
    moments = [
        "downloads/mini_fa/wav/*.wav",  # stage 1, speaking
        "downloads/.mini_base-*",  # stage 1, making the base
        "data/train/.cleaned",  # stage 1, reading the texts
        "dump/raw/org/train/data/format.1/journal.tsv",  # stage 2
        "dump/raw/org/test/data/format.1/journal.tsv",  # stage 2, last set
        "dump/token_list/hugging_face/tokens.txt",  # stage 4, before the report
        "dump/token_list/hugging_face/token_rate.txt",  # stage 4, within the report
        "dump/latents/train/feats.1.scp*",  # stage 5, behind the first utterance
        "dump/latents/valid/feats.1.json",  # stage 5, last set
    ]
    for pattern in moments:
        run = started(new_recipe, 1, 5)
        run.wait_for(functools.partial(has_file, new_recipe.folder, pattern))
        run.kill_all()
    new_recipe.succeed(1, 5)
    finished = request.getfixturevalue("finished")
    stats = "exp/tts_stats_raw_vibevoice_latents_hugging_face"
    for name in ("data", "dump/raw", "dump/token_list", "dump/latents", stats):
        assert_same_files(data_files(new_recipe, name), data_files(finished, name))
    wavs = "downloads/mini_fa"
    assert_same_files(new_recipe.read_files(wavs), finished.read_files(wavs))
    base = "downloads/mini_base"
    assert_same_files(new_recipe.read_files(base), finished.read_files(base))


def test_raw_texts_killed_while_cleaned_end_like_an_undisturbed_run(
    finished, new_recipe, give_raw_texts, started, tmp_path
):
    give_raw_texts(new_recipe, finished)
    undisturbed = new_recipe.copy(tmp_path / "undisturbed")
    options = ("--max_dropped", "0.1")
    moments = [
        "data/test: dropped 0 utterances",  # tables mended, texts still raw
        "s_train_11: dropped, no reading is known",  # texts of the first set read
        "s_valid_01: dropped, no reading is known",  # of the second one as well
        "data/train: text is new, removed the old text.raw",
        "Stage 2: Audio formatting",
        "Stage 3: Filtering",
        "Stage 4: Token list",
    ]
    for words in moments:
        run = started(new_recipe, 1, 4, *options)
        run.wait_for(functools.partial(has_words, run.log, words))
        run.kill_all()
    new_recipe.succeed(1, 4, *options)
    undisturbed.succeed(1, 4, *options)
    for name in ("data", "dump"):
        assert_same_files(data_files(new_recipe, name), data_files(undisturbed, name))
    text = (new_recipe.folder / "dump/raw/test/text").read_text(encoding="utf-8")
    assert text == "s_test_00 شماره صفر از test\ns_test_01 شماره یک از test\n"
    raw = (new_recipe.folder / "dump/raw/test/text.raw").read_text(encoding="utf-8")
    assert raw == "s_test_00 شماره 0 از test 😊\ns_test_01 شماره 1 از test 😊\n"
    before = data_files(new_recipe, "data", "dump")
    output = new_recipe.succeed(1, 4, *options)
    assert_same_files(data_files(new_recipe, "data", "dump"), before)
    assert output.count("/token_list/hugging_face is up to date") == 1


def test_training_and_decoding_killed_end_like_an_undisturbed_run(
    finished, copied, started
):
    shutil.rmtree(copied.experiment)
    log = copied.experiment / "train.log"
    run = started(copied, 6, 6)
    run.wait_for(lambda: has_words(log, "2epoch:train:11-15batch"))
    run.kill_all()
    path = copied.experiment / "checkpoint.pth"
    ended = torch.load(path, weights_only=False)["reporter"]["epoch"]
    assert 1 <= ended < 3  # there was something left to do

    # one by one, as the two jobs of the undisturbed run: batches differ by rounding
    options = ("--skip_scoring", "true", "--batch_size", "1")
    run = started(copied, 6, 7, *options, "--inference_nj", "1")
    first = "**/fa_f1_test_0001.wav"
    run.wait_for(functools.partial(has_file, copied.decoded, first))
    run.kill_all()
    text = log.read_text("utf-8")
    assert f"{ended + 1}epoch:train" in text
    assert f"{ended}epoch:train" not in text
    assert not (copied.decoded / ".done").exists()

    copied.succeed(6, 7, *options)
    for name in ("2epoch.pth", "3epoch.pth", "valid.diffusion_loss.best.pth"):
        assert_same_parameters(copied.experiment / name, finished.experiment / name)
    for name in ("wav", "images", "probs"):
        relative = str((copied.decoded / name).relative_to(copied.folder))
        assert_same_files(copied.read_files(relative), finished.read_files(relative))


def test_driver_killed_alone_its_jobs_end_and_a_new_run_may_start(copied, started):
    shutil.rmtree(copied.folder / "dump/latents/valid")  # the last set
    run = started(copied, 5, 5)
    jobs = functools.partial(run.find_processes, "espnet_vibevoice.bin.dump_latents")
    run.wait_for(lambda: len(jobs()) > 2)  # the runner and both jobs
    run.process.kill()  # run.sh
    driver = run.find_processes("./tts.sh")
    assert len(driver) >= 1
    for pid in driver:
        os.kill(pid, signal.SIGKILL)
    run.wait_for_end()
    copied.succeed(5, 5)


@contextmanager
def run_sleeping_job(tmp_path: Path, **variables: str) -> Iterator[subprocess.Popen]:
    """Start a runner whose job notes its number and sleeps; end what is left of it."""
    runner = [sys.executable, "-m", "espnet_vibevoice.bin.run_jobs"]
    note = tmp_path / "pid"
    # renamed, so that the number is there as a whole or not at all
    job = f"echo $$ >{note}.tmp; mv {note}.tmp {note}; exec sleep {2 * HUNG_SEC}"
    process = subprocess.Popen(
        [*runner, "--backend", "local", f"{tmp_path}/job.log", "bash", "-c", job],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        if note.is_file():
            send_kill(int(note.read_text()))
        process.communicate()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + HUNG_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_runner_killed_its_job_ends(tmp_path):
    with run_sleeping_job(tmp_path) as runner:
        wait_until((tmp_path / "pid").is_file)
        pid = int((tmp_path / "pid").read_text())
        assert is_alive(pid)
        runner.kill()
        runner.wait()
        wait_until(lambda: not is_alive(pid))


def test_runner_without_its_driver_stops_the_job_and_says_so(tmp_path):
    driver = subprocess.Popen(["sleep", str(2 * HUNG_SEC)])
    with run_sleeping_job(tmp_path, TTS_DRIVER_PID=str(driver.pid)) as runner:
        try:
            wait_until((tmp_path / "pid").is_file)
        finally:
            driver.kill()
            driver.wait()
        _, errors = runner.communicate(timeout=HUNG_SEC)
    assert runner.returncode == 1
    assert f"the stage driver (process {driver.pid}) has ended" in errors
    assert "Traceback" not in errors
    assert not is_alive(int((tmp_path / "pid").read_text()))


def truncate(path: Path) -> None:
    """Leave the first half of a file, as a kill in the middle of writing does."""
    os.truncate(path, path.stat().st_size // 2)


@pytest.fixture
def experiment(finished, tmp_path):
    """Copy what training resumes from."""
    for name in ("checkpoint.pth", "3epoch.pth"):
        shutil.copy(finished.experiment / name, tmp_path)
    return tmp_path


def test_mend_checkpoints_cut_off_epoch_is_written_again(finished, experiment):
    truncate(experiment / "3epoch.pth")
    assert len(mend_checkpoints(experiment)) == 1
    assert_same_parameters(
        experiment / "3epoch.pth", finished.experiment / "3epoch.pth"
    )
    assert mend_checkpoints(experiment) == []


def test_mend_checkpoints_cut_off_checkpoint_is_moved_aside(experiment):
    truncate(experiment / "checkpoint.pth")
    (message,) = mend_checkpoints(experiment)
    assert "training starts again from epoch 1" in message
    assert (experiment / "checkpoint.pth.broken").is_file()
    assert not (experiment / "checkpoint.pth").exists()
