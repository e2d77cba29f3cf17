"""A mini recipe in a folder of its own, and runs of it that can be killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
HUNG_SEC = 900  # only ends a test that hangs, however busy the machine is


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

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so; the run must not end before."""
        deadline = time.monotonic() + HUNG_SEC
        while not condition():
            has_ended = self.process.poll() is not None
            output = self.log.read_text(encoding="utf-8")
            # what the run did last may have come between the two looks
            assert not has_ended or condition(), f"ended too early: {output}"
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

    def wait_for_end(self) -> None:
        """Wait until no process of the run is left."""
        deadline = time.monotonic() + HUNG_SEC
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
