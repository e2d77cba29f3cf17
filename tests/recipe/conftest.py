"""A mini recipe of four sentences: run once, copied by tests that change something."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.recipe.mini_recipe import SENTENCES, Recipe, RunningRecipe, make_recipe

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


def _run_all_stages(root: Path) -> None:
    """Make a mini recipe and its recogniser, run it, keep what it printed."""
    recipe = make_recipe(root)
    make_recognizer(recipe.recognizer)
    (root / "run.log").write_text(recipe.succeed(1, 7), encoding="utf-8")


@pytest.fixture(scope="session")
def finished(make_once: Callable[..., Path]) -> Recipe:
    """Give the recipe run through stages 1 to 7; shared, so it must stay as it is.

    What it printed is in ``run.log`` of its root.
    """
    return Recipe(make_once("finished_recipe", _run_all_stages))


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
