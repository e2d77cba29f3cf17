"""Make a multi-speaker parity folder by the reference model, of sizes from a seed.

Nothing here comes from the package: sequences, weights and outputs are made by the
plain second implementation in `reference_model`. The command is `make_fixture.py`.
"""

import json
import math
import random
from functools import partial
from pathlib import Path

import torch
from fixture_config import draw_multispeaker_config
from fixture_layout import (
    OUTPUT_TEXT,
    SCRIPT_TEXT,
    SYSTEM_TEXT,
    VOICES_TEXT,
    Processor,
)
from fixture_parts import draw_text, refuse_existing, write_tokenizer, write_values
from fixture_path import measure_rounding, shape_path
from fixture_weights import WeightMaker, calibrate
from multispeaker_settings import SPECIAL_TOKENS, MultispeakerSettings
from reference_model import ReferenceModel
from reference_outputs import compute_reference_outputs
from reference_parts import Tensors
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Qwen2Tokenizer

PADDING_TOKEN = "<|image_pad|>"
NUM_MERGES = 60
MAX_DRAWS, MAX_ROUNDING = 8, 5e-5
SPARE_IDS = 3  # at the end of the vocabulary, without a token
LEVEL_RMS = 10 ** (-25 / 20)  # of a voice prompt
GRADIENT_NAMES = (
    "model.acoustic_connector.fc1.weight",
    "model.language_model.embed_tokens.weight",
    "model.language_model.layers.0.self_attn.q_proj.weight",
    "model.language_model.norm.weight",
    "model.prediction_head.cond_proj.weight",
    "model.prediction_head.final_layer.linear.weight",
    "model.semantic_connector.fc2.weight",
)


class FixtureMaker:
    """Draws inputs of a folder and lays sequences out.

    Args:
        seed (int): Decides all that is drawn.
        tokenizer (Qwen2Tokenizer): Tokenizer of the folder.
    """

    def __init__(self, seed: int, tokenizer: Qwen2Tokenizer):
        self.draw = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.randn = partial(torch.randn, generator=self.generator)
        self.tokenizer = tokenizer
        self.processor = Processor(tokenizer)
        self.config = draw_multispeaker_config(self.draw, len(tokenizer) + SPARE_IDS)
        self.hop = math.prod(self.config["acoustic_tokenizer_config"]["encoder_ratios"])
        num_texts = self.draw.randint(2, 3)
        self.settings = MultispeakerSettings(
            **self.processor.special_ids,
            ddpm_batch_mul=self.draw.randint(1, 3),
            cfg_scale=self.draw.choice([1.3, 1.5, 2.0]),
            num_sampling_steps=self.draw.randint(3, 12),
            max_new_tokens=24,
            num_logits=self.draw.randint(1, 5),
            logits_of_example=(
                self.draw.randrange(num_texts),
                self.draw.randint(8, 24),
            ),
            gradient_names=GRADIENT_NAMES,
        )
        first = self.draw.randint(0, 1)  # smallest id of the speakers
        counts = [self.draw.randint(1, 3) for _ in range(num_texts + 1)]
        self.texts = [self.draw_script(first, count) for count in counts]

    def draw_model(self, inputs: Tensors, path: list[int]) -> ReferenceModel:
        """Draw a model that takes a path of generation and is not shaken by rounding.

        Args:
            inputs (Tensors): Inputs of generation.
            path (list[int]): Tokens to be chosen.

        Raises:
            RuntimeError: If none is found.
        """
        for _ in range(MAX_DRAWS):
            weights = WeightMaker(self.config, self.generator).make()
            model = ReferenceModel(weights, self.config)
            calibrate(model, self.draw_sound(8 * self.hop))
            shaped = shape_path(model, inputs, self.settings, path)
            if shaped is None:
                continue
            if measure_rounding(shaped, inputs, self.settings, path) < MAX_ROUNDING:
                return shaped
        raise RuntimeError(
            f"{MAX_DRAWS} models drawn, none takes the path {path} steadily. Give "
            "another seed."
        )

    def draw_sound(self, num_samples: int) -> Tensor:
        """Draw a sound of changing loudness (T_wav,)."""
        noise = self.randn(num_samples) * 0.1
        period = self.draw.uniform(0.5, 2.0) * self.hop
        return noise * (1 + torch.sin(torch.arange(num_samples) / period))

    def draw_script(self, first: int, num_speakers: int) -> str:
        """Draw a script in which each speaker has a turn."""
        speakers = [*range(first, first + num_speakers)]
        return "\n".join(f"Speaker {i}: {draw_text(self.draw)}" for i in speakers)

    def draw_segment(self) -> Tensor:
        """Draw a segment of a few frames, mostly not a whole number of them."""
        rest = self.draw.choice([0, self.draw.randint(1, self.hop - 1)])
        return self.draw_sound(self.draw.randint(1, 4) * self.hop + rest)

    def count_frames(self, waveform: Tensor) -> int:
        """Frames of a waveform: every started one counts."""
        return -(-len(waveform) // self.hop)

    def draw_module_inputs(self) -> Tensors:
        """Draw inputs of the single parts."""
        sizes, randn = self.config, self.randn
        hidden = sizes["decoder_config"]["hidden_size"]
        acoustic, semantic = sizes["acoustic_vae_dim"], sizes["semantic_vae_dim"]
        rows, frames = self.draw.randint(2, 6), self.draw.randint(2, 5)
        extra = self.draw.randint(1, self.hop - 1)
        return {
            "codec.waveform": self.draw_sound(3 * self.hop + extra),
            "codec.decode_latents": randn(1, frames, acoustic),
            "connector.acoustic_in": randn(1, frames, acoustic),
            "connector.semantic_in": randn(1, frames, semantic),
            "head.noisy": randn(rows, acoustic),
            "head.condition": randn(rows, hidden),
            "head.timesteps": torch.tensor(
                [float(self.draw.randrange(1000)) for _ in range(rows)]
            ),
            "lm.input_ids": torch.tensor(
                [self.processor.encode(SYSTEM_TEXT + SCRIPT_TEXT)]
            ),
        }

    def draw_training_inputs(self) -> Tensors:
        """Draw the inputs of ``train``: per example voices, then the target."""
        segments, is_target, sequences = [], [], []
        for index, script in enumerate(self.texts[1:]):
            num_voices = len(script.split("\n"))
            if index == 0 and self.draw.random() < 0.5:
                num_voices = 0
            voices = [self.draw_segment() for _ in range(num_voices)]
            target = self.draw_segment()
            sequence = self.processor.lay_out(
                script, [self.count_frames(v) for v in voices]
            )
            self.processor.add_speech(
                sequence, self.count_frames(target), is_target=True
            )
            segments += [*voices, target]
            is_target += [False] * num_voices + [True]
            sequences.append(sequence)
        counts = torch.tensor([self.count_frames(segment) for segment in segments])
        real = torch.arange(int(counts.max())) < counts[:, None]
        learnt = real & torch.tensor(is_target)[:, None]
        shape = int(learnt.sum()) * self.settings.ddpm_batch_mul
        dim = self.config["acoustic_vae_dim"]
        masks = {
            "attention_mask": [[1] * len(part.ids) for part in sequences],
            "acoustic_input_mask": [part.is_frame for part in sequences],
            "acoustic_loss_mask": [part.is_target for part in sequences],
        }
        ids = [torch.tensor(part.ids) for part in sequences]
        eos = self.settings.eos_id
        inputs = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=eos),
            **{k: _pad(rows) for k, rows in masks.items()},
            "speech_tensors": pad_sequence(segments, batch_first=True),
            "segment_num_samples": torch.tensor([len(part) for part in segments]),
            "speech_masks": real,
            "speeches_loss_input": learnt,
            "rand.vae_std_draw": self.randn(len(segments)),
            "rand.vae_noise": self.randn(*real.shape, dim),
            "rand.diffusion_noise": self.randn(shape, dim),
            "rand.timesteps": torch.randint(1000, (shape,), generator=self.generator),
        }
        return {f"train.{key}": value for key, value in inputs.items()}

    def draw_generation_inputs(self, num_frames: int) -> Tensors:
        """Draw the inputs of ``gen``."""
        num_voices = len(self.texts[0].split("\n"))
        raw = [0.5 * self.draw_segment() for _ in range(num_voices)]
        voices = [set_level(voice) for voice in raw]
        counts = torch.tensor([self.count_frames(voice) for voice in voices])
        sequence = self.processor.lay_out(self.texts[0], counts.tolist())
        sequence.add([self.settings.speech_start_id])
        real = torch.arange(int(counts.max())) < counts[:, None]
        dim = self.config["acoustic_vae_dim"]
        inputs = {
            "input_ids": torch.tensor([sequence.ids]),
            "attention_mask": torch.ones(1, len(sequence.ids), dtype=torch.long),
            "speech_input_mask": torch.tensor([sequence.is_frame]),
            "speech_tensors": pad_sequence(voices, batch_first=True),
            "speech_masks": real,
            **{f"raw_voice.{i}": voice for i, voice in enumerate(raw)},
            "rand.vae_std_draw": self.randn(num_voices),
            "rand.vae_noise": self.randn(*real.shape, dim),
            "noise": self.randn(num_frames, 2, dim),
        }
        return {f"gen.{key}": value for key, value in inputs.items()}

    def draw_path(self) -> list[int]:
        """Draw a path of generation in one or two segments."""
        settings, path = self.settings, []
        for segment in range(self.draw.randint(1, 2)):
            path += [settings.speech_start_id] if segment else []
            path += [settings.speech_diffusion_id] * self.draw.randint(2, 4)
            path += [settings.speech_end_id]
        return [*path, settings.eos_id]


def make_multispeaker_folder(path: Path, seed: int) -> None:
    """Make a folder.

    Args:
        path (Path): Folder to make.
        seed (int): Decides sizes, weights and inputs.

    Raises:
        FileExistsError: If the folder exists.
        RuntimeError: If no model of generation that can be checked is found.
    """
    refuse_existing(path)
    pieces = [SYSTEM_TEXT, VOICES_TEXT, SCRIPT_TEXT, OUTPUT_TEXT]
    specials = [*SPECIAL_TOKENS.values(), PADDING_TOKEN]
    write_tokenizer(path / "tokenizer", specials, 2 * pieces, NUM_MERGES)
    tokenizer = Qwen2Tokenizer.from_pretrained(str(path / "tokenizer"))
    maker = FixtureMaker(seed, tokenizer)
    chosen = maker.draw_path()
    inputs = {
        **maker.draw_module_inputs(),
        **maker.draw_training_inputs(),
        **maker.draw_generation_inputs(
            chosen.count(maker.settings.speech_diffusion_id)
        ),
    }
    model = maker.draw_model(inputs, chosen)
    outputs = compute_reference_outputs(model, inputs, maker.settings)
    assert outputs["gen.tokens"].tolist() == chosen, (outputs["gen.tokens"], chosen)
    write_checkpoint(model, path / "checkpoint")
    write_values(path, inputs | outputs, describe(maker, inputs))


def describe(maker: FixtureMaker, inputs: Tensors) -> dict:
    """Give the content of ``meta.json``."""
    settings, decode = maker.settings, maker.tokenizer.decode
    tokens = {**SPECIAL_TOKENS, "pad": PADDING_TOKEN}
    return {
        "train_texts": maker.texts[1:],
        "gen_text": maker.texts[0],
        "gen_prompt_decoded": decode(inputs["gen.input_ids"][0].tolist()),
        "ddpm_batch_mul": settings.ddpm_batch_mul,
        "gen": {
            "cfg_scale": settings.cfg_scale,
            "steps": settings.num_sampling_steps,
            "max_new_tokens": settings.max_new_tokens,
        },
        "special_ids": {
            f"{name.removesuffix('_id')} {token}": (
                maker.tokenizer.convert_tokens_to_ids(token)
            )
            for name, token in tokens.items()
        },
    }


def set_level(waveform: Tensor) -> Tensor:
    """Bring a voice to -25 dBFS, then below full scale (T_wav,)."""
    waveform = waveform * (LEVEL_RMS / waveform.square().mean().sqrt())
    return waveform / waveform.abs().max().clamp(min=1)


def write_checkpoint(model: ReferenceModel, path: Path) -> None:
    """Write weights and configuration in the original format."""
    path.mkdir()
    weights = {name: tensor.contiguous() for name, tensor in model.weights.items()}
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    text = json.dumps(model.config, indent=1) + "\n"
    (path / "config.json").write_text(text, encoding="utf-8")


def _pad(rows: list[list]) -> Tensor:
    """Pad rows with 0 or False at their ends."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
