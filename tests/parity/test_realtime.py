"""The model equals the reference implementation on the stored fixture."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

# The scripts beside this file are not a package.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from check import TOLERANCE, Row, check_folder
from parity_folder import INPUT_KEYS, load_folder

DATA = Path(__file__).resolve().parent / "data" / "realtime"
pytestmark = pytest.mark.parity
# Single-threaded float32 stays this close; a change of arithmetic shows here first.
MAX_ROUNDING = 2e-5
SECOND_WAYS = [
    "lm.input_ids [tokenizer]",
    "gen.text_ids [tokenizer]",
    "voice.prompt_text_ids [tokenizer]",
    "lm.last_hidden_state [windows]",
    "tts_a.hidden [step by step]",
    "tts_b.hidden [step by step]",
    "gen.condition [teacher forcing]",
    "gen.neg_condition [teacher forcing]",
    "gen.condition [built prompt]",
    "gen.latents [built prompt]",
    "gen.waveform [built prompt]",
    "gen.waveform [ended by eos]",
    "gen.waveform [streamed]",
]


def list_row_names() -> list[str]:
    """List the rows that the check of the fixture must give."""
    with safe_open(DATA / "io.safetensors", "pt") as io:
        outputs = sorted(set(io.keys()) - INPUT_KEYS)
    voice = [f"{key} [voice_prompt.pt]" for key in outputs if key.startswith("voice.")]
    return outputs + SECOND_WAYS + voice


NAMES = list_row_names()


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    """Check the fixture once, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {row.name: row for row in check_folder(load_folder(DATA))}
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", NAMES)
def test_output_equals_reference(rows, name):
    row = rows[name]
    assert row.is_passed, row
    assert row.error <= TOLERANCE, row


def test_check_gives_exactly_the_listed_rows(rows):
    assert sorted(rows) == sorted(NAMES)


def test_all_errors_are_of_the_size_of_rounding(rows):
    large = {row.name: row.error for row in rows.values() if row.error > MAX_ROUNDING}
    assert large == {}
