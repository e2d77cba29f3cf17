"""Make a parity folder, of sizes drawn from a seed.

Usage: python tests/parity/make_fixture.py FOLDER [--family FAMILY] [--seed N]

Outputs of the multi-speaker family come from a plain second implementation, see
`make_multispeaker`. Those of the realtime family come from the package itself: they
prove that check.py reads every size from the folder, not that the numbers are right.
"""

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

# Runs from a checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fixture_parts import (
    RATIOS,
    draw_text,
    refuse_existing,
    write_tokenizer,
    write_values,
)
from make_multispeaker import make_multispeaker_folder
from parity_folder import ParitySettings
from parity_generation import build_prompt, replace_eos_bias, run_frames
from parity_outputs import compute_outputs, lay_out_long

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
from espnet_vibevoice.models.config import NEGATIVE_PROMPT_TOKEN, parse_config
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import save_voice_prompt
from espnet_vibevoice.text.tokenizer import load_tokenizer

WINDOWS = ((5, 6), (3, 4), (7, 2), (4, 5), (2, 7))


def make_folder(path: Path, seed: int) -> None:
    """Make a folder.

    Args:
        path (Path): Folder to make.
        seed (int): Decides sizes, weights and inputs.

    Raises:
        FileExistsError: If the folder exists.
    """
    refuse_existing(path)
    draw = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    write_tokenizer(path / "tokenizer", ["<|endoftext|>", NEGATIVE_PROMPT_TOKEN])
    tokenizer = load_tokenizer(path / "tokenizer")
    make_model(draw_config(draw), generator).save(path / "checkpoint")
    model = RealtimeModel.from_base(str(path / "checkpoint"))
    model.negative_prompt_id = tokenizer.negative_prompt_id

    texts = {name: draw_text(draw) for name in ("text_1", "text_2", "prompt_text")}
    ids = [torch.tensor([tokenizer.encode(text)]) for text in texts.values()]
    settings = draw_settings(draw, num_text=ids[0].shape[1])
    inputs = draw_inputs(draw, generator, model, ids)
    unfed = int(lay_out_long(inputs, settings).unfed_tokens)
    settings = replace(settings, trailing_text=draw.choice([0, unfed]))
    inputs["gen_eos.eos_bias"] = choose_eos_bias(model, inputs, settings, draw)
    outputs = compute_outputs(model, inputs, settings)
    save_voice_prompt(
        build_prompt(model, inputs, settings), path / "voice_prompt.safetensors"
    )
    meta = {
        **texts,
        "prompt_text_type": settings.prompt_text_type,
        "cfg_scale": settings.cfg_scale,
        "num_sampling_steps": settings.num_sampling_steps,
        "special_ids": {NEGATIVE_PROMPT_TOKEN: tokenizer.negative_prompt_id},
    }
    write_values(path, inputs | outputs, meta)


def draw_config(draw: random.Random) -> dict:
    """Draw the sizes of a model in the original form."""
    heads, head_dim = draw.choice([2, 4, 6]), draw.choice([8, 16])
    num_upper = draw.randint(1, 4)
    latent_dim, ratios = draw.choice([3, 6, 16]), draw.choice(RATIOS)
    depths = [draw.randint(1, 2) for _ in range(len(ratios) + 1)]
    return {
        "model_type": "vibevoice_streaming",
        "tts_backbone_num_hidden_layers": num_upper,
        "acoustic_tokenizer_config": {
            "channels": 1,
            "decoder_depths": None,
            "decoder_n_filters": draw.randint(1, 3),
            "decoder_ratios": ratios,
            "encoder_depths": "-".join(map(str, depths)),
            "encoder_n_filters": draw.randint(1, 3),
            "encoder_ratios": ratios,
            "fix_std": 0.5,
            "layer_scale_init_value": 0.3,
            "layernorm_eps": 1e-5,
            "vae_dim": latent_dim,
            "weight_init_value": 0.01,
        },
        "decoder_config": {
            "hidden_act": "silu",
            "hidden_size": heads * head_dim,
            "initializer_range": 0.1,
            "intermediate_size": draw.choice([24, 80]),
            "max_position_embeddings": 512,
            "num_attention_heads": heads,
            "num_hidden_layers": num_upper + draw.randint(1, 3),
            "num_key_value_heads": draw.choice([1, 2]),
            "rms_norm_eps": 1e-6,
            "rope_theta": draw.choice([1e4, 1e6]),
            "vocab_size": 264,
        },
        "diffusion_head_config": {
            "ddpm_beta_schedule": "cosine",
            "ddpm_num_steps": 1000,
            "head_ffn_ratio": draw.choice([2.0, 3.0]),
            "head_layers": draw.randint(1, 3),
            "hidden_size": heads * head_dim,
            "latent_size": latent_dim,
            "prediction_type": "v_prediction",
            "rms_norm_eps": 1e-5,
        },
    }


def make_model(original: dict, generator: torch.Generator) -> RealtimeModel:
    """Make a model whose parts all do something.

    Args:
        original (dict): Sizes in the original form.
        generator (torch.Generator): Source of the weights.

    Returns:
        RealtimeModel: The model.
    """
    model = RealtimeModel.from_config(parse_config(original), seed=0)
    for name, parameter in model.named_parameters():
        # Initial biases are 0, norms 1, and the head's modulation does nothing.
        scale = 0.02 if name.startswith("acoustic_tokenizer") else 0.1
        nudge = torch.randn(parameter.shape, generator=generator) * scale
        parameter.data.add_(nudge)
    codec = model.acoustic_tokenizer
    set_unit_gain(codec, generator)
    noise = torch.randn(4 * codec.hop_samples, generator=generator) * 0.05
    calibrate_codec(model, [noise], target_rms=0.05)
    return model


def draw_settings(draw: random.Random, num_text: int) -> ParitySettings:
    """Draw windows, guidance and numbers of steps.

    Args:
        draw (random.Random): Source.
        num_text (int): Tokens of the long sequence.
    """
    text_window, speech_window = draw.choice(WINDOWS)
    return ParitySettings(
        text_window=text_window,
        speech_window=speech_window,
        trailing_text=0,
        short_text=min(num_text, text_window),
        short_frames=speech_window,
        cfg_scale=draw.choice([1.0, 1.3, 2.5]),
        num_sampling_steps=draw.randint(2, 7),
        sample_steps=(draw.randint(2, 4), draw.randint(6, 12)),
        schedule_steps=(draw.randint(2, 8), draw.randint(9, 30)),
        prompt_text_type=draw.randint(0, 1),
    )


def draw_inputs(
    draw: random.Random,
    generator: torch.Generator,
    model: RealtimeModel,
    ids: list[Tensor],
) -> dict[str, Tensor]:
    """Draw every input but the bias that ends speech.

    Args:
        draw (random.Random): Source of lengths.
        generator (torch.Generator): Source of values.
        model (RealtimeModel): The model.
        ids (list[Tensor]): Ids of text, text to speak and transcript, (1, T) each.

    Returns:
        dict[str, Tensor]: The inputs.
    """
    hidden, dim = model.config.hidden_size, model.config.latent_dim
    rows, mixed, samples = draw.randint(2, 9), draw.randint(2, 9), draw.randint(1, 5)
    hop = model.config.hop_samples
    num_samples = draw.randint(2, 6) * hop + draw.randint(1, hop - 1)
    shapes = {
        # More than the largest window, so that the windows can be read off.
        "tts.latents": (1, draw.randint(8, 4 * ids[0].shape[1]), dim),
        "head.noisy": (rows, dim),
        "head.condition": (rows, hidden),
        "sched.x0": (mixed, dim),
        "sched.noise": (mixed, dim),
        "sample.condition": (samples, hidden),
        "sample.neg_condition": (samples, hidden),
        "sample.init_noise": (2 * samples, dim),
        "codec.decode_latents": (1, draw.randint(2, 8), dim),
        "codec.encode_waveform": (num_samples,),
        "voice.prompt_latents": (1, draw.randint(2, 15), dim),
        "gen.noise": (draw.randint(12, 24), 2, dim),
    }
    steps = torch.randint(1000, (rows + mixed,), generator=generator)
    return {
        **{k: torch.randn(v, generator=generator) for k, v in shapes.items()},
        "lm.input_ids": ids[0],
        "gen.text_ids": ids[1],
        "voice.prompt_text_ids": ids[2],
        "head.timesteps": steps[:rows].float(),
        "sched.timesteps": steps[rows:],
        "gen.eos_bias": torch.tensor(-100.0),
    }


def choose_eos_bias(
    model: RealtimeModel,
    inputs: dict[str, Tensor],
    settings: ParitySettings,
    draw: random.Random,
) -> Tensor:
    """Choose a bias under which a frame after the first ends speech ().

    Args:
        model (RealtimeModel): The model.
        inputs (dict[str, Tensor]): All other inputs.
        settings (ParitySettings): Windows, guidance and steps.
        draw (random.Random): Source of the frame.
    """
    prompt = build_prompt(model, inputs, settings)
    with replace_eos_bias(model, torch.zeros(())):
        steps = run_frames(model, inputs, settings, prompt)
    logits = torch.stack([step.eos_logit for step in steps])
    highest = logits.cummax(0).values
    rises = (logits[1:] > highest[:-1]).nonzero().flatten() + 1
    frame = draw.choice(rises.tolist() or [len(logits) - 1])
    return -(logits[frame] + highest[frame - 1]) / 2


MAKERS = {"multispeaker": make_multispeaker_folder, "realtime": make_folder}


def main() -> None:
    """Parse the options and make the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder to make")
    parser.add_argument("--seed", type=int, default=1, help="of sizes and values")
    parser.add_argument(
        "--family", choices=sorted(MAKERS), default="realtime", help="of the model"
    )
    options = parser.parse_args()
    with torch.no_grad():
        MAKERS[options.family](options.folder, options.seed)


if __name__ == "__main__":
    run_command(main)
