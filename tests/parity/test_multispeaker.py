"""The multi-speaker model equals the reference; its known faults would show."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

# The scripts beside this file are not a package.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from check import GROWING, TOLERANCE, Row, check_folder, compare, load_any_folder
from make_multispeaker import make_multispeaker_folder
from multispeaker_folder import (
    MultispeakerFolder,
    is_multispeaker_input,
    load_multispeaker_folder,
)
from multispeaker_outputs import compute_multispeaker_outputs

from espnet_vibevoice.models.codec_stream import ConvolutionPast
from espnet_vibevoice.models.diffusion import CosineSchedule

DATA = Path(__file__).resolve().parent / "data" / "multispeaker"
pytestmark = pytest.mark.parity
# Single-threaded float32 stays this close; a change of arithmetic shows here first.
MAX_ROUNDING = 5e-5
SECOND_WAYS = [
    "lm.last_hidden_state [in pieces]",
    "codec.acoustic_mean_zero_padded [streamed]",
    "codec.semantic_mean_zero_padded [streamed]",
    "codec.decode_audio [streamed]",
    "train.attention_mask [laid out]",
    "train.input_ids [laid out]",
    "train.acoustic_input_mask [laid out]",
    "train.acoustic_loss_mask [laid out]",
    "train.input_ids [tokenizer, text 0]",
    "train.input_ids [tokenizer, text 1]",
    "gen.condition [teacher forcing]",
    "gen.neg_condition [teacher forcing]",
    "gen.token_scores_start_end_diffusion_eos [teacher forcing]",
    "gen.waveform [from latents]",
    "gen.semantic [from waveform]",
    "gen.tokens [in a batch]",
    "gen.latents [in a batch]",
    "gen.waveform [in a batch]",
    "gen.speech_tensors [levelled]",
    "gen.input_ids [from text]",
    "gen.speech_input_mask [from text]",
    "gen.tokens [from text]",
    "gen.latents [from text]",
    "gen.waveform [from text]",
    "gen.waveform [streamed]",
]


def list_row_names() -> list[str]:
    """List the rows that the check of the fixture must give."""
    with safe_open(DATA / "io.safetensors", "pt") as io:
        outputs = sorted(key for key in io.keys() if not is_multispeaker_input(key))
    return outputs + SECOND_WAYS


NAMES = list_row_names()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Compute on one thread, so that sums are made in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    """Check the fixture once."""
    return {row.name: row for row in check_folder(load_any_folder(DATA))}


@pytest.fixture
def folder() -> MultispeakerFolder:
    """Load the fixture; a test may put other parts into its model."""
    return load_multispeaker_folder(DATA)


def list_failed(folder: MultispeakerFolder) -> set[str]:
    """Compute the outputs of a folder and name those that are wrong."""
    outputs = compute_multispeaker_outputs(folder.model, folder.io, folder.settings)
    compared = [compare(key, got, folder.io[key]) for key, got in outputs.items()]
    return {row.name for row in compared if not row.is_passed}


@pytest.mark.parametrize("name", NAMES)
def test_output_equals_reference(rows, name):
    assert rows[name].is_passed, rows[name]
    assert rows[name].error <= MAX_ROUNDING, rows[name]


def test_check_gives_exactly_the_listed_rows(rows):
    assert sorted(rows) == sorted(NAMES)


def test_check_allows_more_only_where_generation_feeds_on_itself(rows):
    wide = {name for name, row in rows.items() if row.tolerance > TOLERANCE}
    assert wide == {*GROWING, "gen.latents [in a batch]", "gen.latents [from text]"}


def test_fixture_generates_two_segments_of_two_speakers(folder):
    tokens = folder.io["gen.tokens"].tolist()
    assert tokens.count(folder.settings.speech_start_id) == 1
    assert tokens.count(folder.settings.speech_end_id) == 2
    assert tokens[-1] == folder.settings.eos_id
    assert len(folder.io["gen.speech_tensors"]) == 2


class Deaf(nn.Module):
    """A semantic connector that hears nothing."""

    def __init__(self, connector: nn.Module):
        super().__init__()
        self.linear_1 = connector.linear_1
        self.linear_2 = connector.linear_2
        self.act = connector.act
        self._connector = [connector]

    def forward(self, features: Tensor) -> Tensor:
        return self._connector[0](torch.zeros_like(features))


def test_check_with_zeroed_semantic_features_fails(folder):
    folder.model.semantic_connector = Deaf(folder.model.semantic_connector)
    failed = list_failed(folder)
    assert {"train.inputs_embeds", "train.hidden_states"} <= failed
    assert {"train.ce_loss", "train.diffusion_loss", "gen.latents"} <= failed
    assert not any(name.startswith("train_zero_semantic.") for name in failed)
    assert "train.speech_connect_features" not in failed


class Leaking(nn.Module):
    """A language model whose hidden states come from the position behind."""

    def __init__(self, language_model: nn.Module):
        super().__init__()
        self.language_model = language_model

    @property
    def embed_tokens(self) -> nn.Module:
        return self.language_model.embed_tokens

    def forward(self, **given: object):
        output = self.language_model(**given)
        if not given["use_cache"]:
            output.last_hidden_state = output.last_hidden_state.roll(-1, dims=1)
        return output


def test_check_with_the_condition_at_the_own_position_fails(folder):
    wanted = {"train.head_condition", "train.head_output", "train.diffusion_loss"}
    assert list_failed(folder).isdisjoint(wanted)
    folder.model.language_model = Leaking(folder.model.language_model)
    failed = list_failed(folder)
    assert wanted <= failed
    assert {"train.ce_labels", "train.inputs_embeds", "gen.tokens"}.isdisjoint(failed)


class ShortSchedule(CosineSchedule):
    """A schedule that knows ten timesteps only."""

    def add_noise(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return super().add_noise(clean, noise, timesteps % 10)

    def velocity(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return super().velocity(clean, noise, timesteps % 10)


def test_check_with_ten_timesteps_fails(folder):
    folder.model.schedule = ShortSchedule()
    failed = list_failed(folder)
    assert {"train.noisy_speech_features", "train.velocity_target"} <= failed
    assert {"train.diffusion_loss", "train_x3200.diffusion_loss"} <= failed
    assert "train.head_condition" not in failed
    assert not any(name.startswith("gen.") for name in failed)


class Unforgetting(nn.Module):
    """A codec network whose past outlives the end of a segment."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self._owner: ConvolutionPast | None = None

    @property
    def head(self) -> nn.Module:
        return self.network.head

    @property
    def stem(self) -> nn.Module:
        return self.network.stem

    @property
    def conv_layers(self) -> nn.Module:
        return self.network.conv_layers

    def forward(self, hidden: Tensor, padding_cache=None, use_cache: bool = False):
        if padding_cache is not None and padding_cache is not self._owner:
            self._owner, self._past = padding_cache, ConvolutionPast(1)
        past = None if padding_cache is None else self._past
        return self.network(hidden, padding_cache=past, use_cache=use_cache)


@pytest.mark.parametrize("codec", ["acoustic", "semantic"])
def test_check_without_the_reset_of_a_codec_fails_in_the_second_segment(folder, codec):
    model = folder.model
    if codec == "acoustic":
        decoder = Unforgetting(model.acoustic_tokenizer.decoder)
        model.acoustic_tokenizer.decoder, key = decoder, "gen.waveform"
    else:
        encoder = Unforgetting(model.semantic_tokenizer.encoder)
        model.semantic_tokenizer.encoder, key = encoder, "gen.semantic"
    failed = list_failed(folder)
    assert {key, "gen.latents"} <= failed
    assert all(name.startswith("gen.") for name in failed)
    outputs = compute_multispeaker_outputs(model, folder.io, folder.settings)
    tokens = folder.io["gen.tokens"].tolist()
    frames = tokens.index(folder.settings.speech_end_id)
    size = len(folder.io[key]) // len(folder.io["gen.latents"])
    first = slice(0, frames * size)
    torch.testing.assert_close(outputs[key][first], folder.io[key][first])


def test_check_with_an_unknown_tensor_fails_as_unchecked(tmp_path):
    shutil.copytree(DATA, tmp_path / "copy")
    path = tmp_path / "copy" / "io.safetensors"
    save_file(load_file(path) | {"train.new": torch.zeros(2)}, path)
    failed = [r for r in check_folder(load_any_folder(path.parent)) if not r.is_passed]
    assert [(row.name, row.note) for row in failed] == [("train.new", "unchecked")]


def test_check_without_an_input_names_it(tmp_path):
    shutil.copytree(DATA, tmp_path / "copy")
    path = tmp_path / "copy" / "io.safetensors"
    io = load_file(path)
    del io["train.rand.timesteps"]
    save_file(io, path)
    with pytest.raises(ValueError, match="1 inputs missing: train.rand.timesteps"):
        load_any_folder(path.parent)


def test_check_without_ids_in_meta_names_them(tmp_path):
    shutil.copytree(DATA, tmp_path / "copy")
    (tmp_path / "copy" / "meta.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="do not tell .*speech_start_id"):
        load_any_folder(tmp_path / "copy")


def test_check_of_other_sizes_passes(tmp_path):
    with torch.no_grad():
        make_multispeaker_folder(tmp_path / "made", seed=25)
    made, fixture = load_any_folder(tmp_path / "made"), load_any_folder(DATA)
    assert made.model.config.is_tied != fixture.model.config.is_tied
    assert made.model.config.latent_dim != fixture.model.config.latent_dim
    assert [row for row in check_folder(made) if not row.is_passed] == []


def test_make_multispeaker_folder_in_an_existing_folder_raises(tmp_path):
    with pytest.raises(FileExistsError, match="exists. Give the name of a new folder"):
        make_multispeaker_folder(tmp_path, seed=1)
