"""A mini recipe of four sentences: run once, copied by tests that change something."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
MADE_BY_RUN = ("data", "dump", "exp", "downloads")
# \u200c is ZERO WIDTH NON-JOINER. The words of valid and test are those of train, so
# that a model that knows four sentences can say them in a plausible time.
SENTENCES = {
    "train": [
        "امروز هوا خوب است و باران می\u200cبارد.",
        "فردا هوا سرد است و برف می\u200cبارد.",
        "کتاب من روی میز بزرگ است.",
        "چای داغ روی میز کوچک است.",
    ],
    "valid": ["امروز هوا سرد است.", "کتاب روی میز کوچک است."],
    "test": ["فردا باران می\u200cبارد.", "چای من روی میز بزرگ است."],
}
TRAIN_ARGS = (
    "--max_epoch 3 --num_iters_per_epoch 60 --scheduler_conf warmup_steps=20 "
    "--log_interval 5"
)
OPTIONS = ("--tag", "t", "--train_args", TRAIN_ARGS)
MARK = "RECIPE_TEST_MARK"
# Texts with digits and an emoji; utterance 7 of train is nothing else.
RAW_TEXTS_SCRIPT = """
import sys
from pathlib import Path
from espnet_vibevoice.data.kaldi import read_table

other = Path(sys.argv[1])
for name, size in (("train", 12), ("valid", 2), ("test", 2)):
    folder = Path("data") / name
    folder.mkdir(parents=True, exist_ok=True)
    wavs = list(read_table(other / "data" / name / "wav.scp").values())
    rows = {"wav.scp": [], "text": [], "utt2spk": []}
    for index in range(size):
        key = f"s_{name}_{index:02}"
        text = f"شماره {index} از {name} 😊" if index != 7 else "😊"
        values = (other / wavs[index % len(wavs)], text, "s")
        for table, value in zip(rows, values):
            rows[table].append(f"{key} {value}\\n")
    rows["spk2utt"] = ["s " + " ".join(r.split()[0] for r in rows["utt2spk"]) + "\\n"]
    for table, lines in rows.items():
        (folder / table).write_text("".join(lines), encoding="utf-8")
"""


@dataclass(frozen=True)
class Recipe:
    """A recipe folder of its own, laid out as in the repository.

    Args:
        root (Path): Holds ``egs2``.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """Folder where ``run.sh`` lies."""
        return self.root / "egs2" / "mini_fa" / "tts1"

    @property
    def experiment(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "exp" / "tts_t"

    @property
    def decoded(self) -> Path:
        """Folder of the decoded test set."""
        return self.experiment / "decode_valid.diffusion_loss.best" / "test"

    @property
    def ceilings(self) -> Path:
        """Folder of what is known of the natural test set."""
        return self.folder / "dump/ceilings/test"

    @property
    def recognizer(self) -> Path:
        """Folder of the recogniser that the recipe scores with."""
        return self.root / "egs2/mini_fa/asr1/exp/asr_mini"

    def copy(self, target: Path) -> "Recipe":
        """Copy everything, times included, so that it still counts as up to date."""
        shutil.copytree(self.root / "egs2", target / "egs2", symlinks=True)
        return Recipe(target)

    def environment(self, **variables: str) -> dict[str, str]:
        """Variables of a process that runs the recipe with our Python."""
        inherited = {k: v for k, v in os.environ.items() if k != "TTS_DRIVER_PID"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), **variables}

    def run(
        self, first: int, last: int, *options: str
    ) -> subprocess.CompletedProcess[str]:
        """Run stages; options given later overrule the usual ones."""
        return subprocess.run(
            run_command_line(first, last, *options),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            check=False,
        )

    def succeed(self, first: int, last: int, *options: str) -> str:
        """Run stages that must go well; return what they print."""
        result = self.run(first, last, *options)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def start(
        self, first: int, last: int, *options: str, **variables: str
    ) -> "RunningRecipe":
        """Start stages, with variables of their own, and return at once."""
        return RunningRecipe(self, run_command_line(first, last, *options), variables)

    def read_files(self, *names: str) -> dict[str, bytes]:
        """Content of all files below folders of this recipe."""
        paths = [path for name in names for path in (self.folder / name).rglob("*")]
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in paths
            if path.is_file()
        }


class RunningRecipe:
    """A run whose processes are known by a mark in their environment."""

    def __init__(self, recipe: Recipe, command: list[str], variables: dict[str, str]):
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        self.log = recipe.root / f"{value}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=recipe.folder,
                env=recipe.environment(**variables, **{name: value}),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait_for(self, condition: Callable[[], bool], limit_sec: float = 120) -> None:
        """Wait until something is so while the run is at work."""
        deadline = time.monotonic() + limit_sec
        while not condition():
            output = self.log.read_text(encoding="utf-8")
            assert self.process.poll() is None, f"ended too early: {output}"
            assert time.monotonic() < deadline, f"never so: {output}"
            time.sleep(0.002)

    def find_processes(self, *words: str) -> list[int]:
        """Find processes of this run whose command line has all the words."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended, or is not ours
            if self._mark.encode() in environment and set(words) <= set(command):
                found.append(int(folder.name))
        return found

    def kill_all(self) -> None:
        """Kill -9 the driver and all it started, none of them warned."""
        while pids := self.find_processes():
            for pid in pids:
                send_kill(pid)
            self.process.poll()  # reaps the driver
        self.process.wait()

    def wait_for_end(self, limit_sec: float) -> None:
        """Wait until no process of the run is left."""
        deadline = time.monotonic() + limit_sec
        while left := self.find_processes():
            assert time.monotonic() < deadline, left
            self.process.poll()
            time.sleep(0.05)


def send_kill(pid: int) -> None:
    """Kill -9 a process, which may have ended already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def run_command_line(first: int, last: int, *options: str) -> list[str]:
    """Make the command line of some stages."""
    stages = ("--stage", str(first), "--stop-stage", str(last))
    return ["./run.sh", *stages, *OPTIONS, *options]


def make_recipe(root: Path) -> Recipe:
    """Copy the mini recipe out of the repository, with the sentences above."""
    source = ROOT / "egs2"
    shutil.copytree(source / "TEMPLATE", root / "egs2" / "TEMPLATE", symlinks=True)
    recipe = Recipe(root)
    shutil.copytree(
        source / "mini_fa" / "tts1",
        recipe.folder,
        symlinks=True,
        ignore=shutil.ignore_patterns(*MADE_BY_RUN, ".tts.lock", "__pycache__"),
    )
    for name, sentences in SENTENCES.items():
        path = recipe.folder / "local" / "sentences" / f"{name}.txt"
        path.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return recipe


def make_recognizer(folder: Path) -> None:
    """Write a random recogniser where the recipe's own would lie.

    What it hears is nonsense; a trained one is not what these tests are about.
    """
    import torch
    import yaml
    from espnet2.tasks.asr import ASRTask

    letters = sorted(set("".join(sum(SENTENCES.values(), []))) - {" "})
    config = ASRTask.get_default_config() | {
        "token_list": ["<blank>", "<unk>", "<space>", *letters, "<sos/eos>"],
        "token_type": "char",
        "frontend_conf": {"fs": 16000, "n_fft": 512, "hop_length": 160, "n_mels": 8},
        "specaug": None,
        "normalize": None,
        "encoder": "conformer",
        "encoder_conf": {"output_size": 8, "attention_heads": 2, "linear_units": 8}
        | {"num_blocks": 1, "use_flash_attn": False},
        "decoder": None,
        "model_conf": {"ctc_weight": 1.0},
    }
    folder.mkdir(parents=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    torch.manual_seed(0)
    model, _ = ASRTask.build_model_from_file(path, None, "cpu")
    torch.save(model.state_dict(), folder / "valid.cer_ctc.best.pth")


def _give_raw_texts(recipe: Recipe, finished: Recipe) -> None:
    """Let stage 1 write raw texts anew each time, of the audio of another recipe.

    One training text has no reading at all; the training set is long enough for one
    of them to be little.
    """
    script = [sys.executable, "local/write_raw_texts.py", str(finished.folder)]
    lines = ["#!/usr/bin/env bash", "set -euo pipefail", " ".join(script)]
    path = recipe.folder / "local" / "data.sh"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (recipe.folder / script[1]).write_text(RAW_TEXTS_SCRIPT, encoding="utf-8")
    shutil.copytree(
        finished.folder / "downloads/mini_base",
        recipe.folder / "downloads/mini_base",
    )


@pytest.fixture
def give_raw_texts() -> Callable[[Recipe, Recipe], None]:
    """Give what makes a recipe write raw texts; see `_give_raw_texts`."""
    return _give_raw_texts


@pytest.fixture
def new_recipe(tmp_path: Path) -> Recipe:
    """Give a recipe that has not run yet."""
    return make_recipe(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Give the recipe run through stages 1 to 7; shared, so it must stay as it is.

    With several workers the first one runs it and the others wait. What it printed
    is in ``run.log`` of its root.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root = shared / "finished_recipe"
    with FileLock(f"{root}.lock"):
        if not (root / "run.log").is_file():
            shutil.rmtree(root, ignore_errors=True)  # of a worker that was ended
            recipe = make_recipe(root)
            make_recognizer(recipe.recognizer)
            output = recipe.succeed(1, 7)
            (root / "run.log").write_text(output, encoding="utf-8")
    return Recipe(root)


@pytest.fixture
def copied(finished: Recipe, tmp_path: Path) -> Recipe:
    """Give a copy of the finished recipe, to be changed at will."""
    return finished.copy(tmp_path)


@pytest.fixture
def started() -> Iterator[Callable[..., RunningRecipe]]:
    """Start recipes whose processes are ended with the test, pass or fail."""
    running: list[RunningRecipe] = []

    def start(
        recipe: Recipe, first: int, last: int, *options: str, **variables: str
    ) -> RunningRecipe:
        running.append(recipe.start(first, last, *options, **variables))
        return running[-1]

    yield start
    for run in running:
        run.kill_all()
