#!/usr/bin/env python3
"""Make the tiny base model of this recipe, in the form of a released checkpoint.

Reads Kaldi ``text`` files (for the tokenizer) and optionally a ``wav.scp`` (to set the
loudness of the decoder and the scale of the latents); writes ``config.json``,
``model.safetensors`` and the tokenizer. The weights are random and follow from
``--seed``, the sizes are in ``mini_base.json``. Same inputs give the same bytes; a
second call finds its stamp and returns.

Usage: local/make_mini_base.py --text data/train/text --out downloads/mini_base
"""

import argparse
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command

if TYPE_CHECKING:
    from torch import Tensor

STAMP_NAME = "made_from.json"
CONFIG_PATH = Path(__file__).with_name("mini_base.json")
NUM_CALIBRATION_UTTERANCES = 32
TARGET_RMS = 10 ** (-25 / 20)  # the loudness of stage 2
SPECIAL_TOKENS = [
    f"<|{name}|>"
    for name in (
        "endoftext im_start im_end object_ref_start object_ref_end box_start box_end "
        "quad_start quad_end vision_start vision_end vision_pad image_pad video_pad"
    ).split()
]
# How Qwen2 splits text before it merges bytes.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def get_parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--text", type=Path, nargs="+", required=True, help="Kaldi text"
    )
    parser.add_argument("--wav_scp", type=Path, help="audio of the same language")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    return parser


def main() -> None:
    """Make the base unless it is there already."""
    args = get_parser().parse_args()
    config = json.loads(CONFIG_PATH.read_text(encoding="utf-8"))
    lines = [line for path in args.text for line in read_table(path).values()]
    wavs = choose_wavs(args.wav_scp)
    stamp = {"inputs": hash_inputs(lines, wavs, args.seed)}
    stamp_path = args.out / STAMP_NAME
    if stamp_path.is_file():
        if json.loads(stamp_path.read_text(encoding="utf-8")) == stamp:
            print(f"{args.out}: up to date")
            return
    elif args.out.exists():
        raise FileExistsError(
            f"{args.out}: exists and was not made by this script. Give another --out, "
            "or remove it."
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent, prefix=".mini_base-") as tmp:
        folder = Path(tmp) / "new"
        folder.mkdir()
        write_tokenizer(lines, config["decoder_config"]["vocab_size"], folder)
        write_model(config, wavs, args.seed, folder)
        text = json.dumps(stamp) + "\n"
        (folder / STAMP_NAME).write_text(text, encoding="utf-8")
        if args.out.exists():
            os.rename(args.out, Path(tmp) / "old")
        os.rename(folder, args.out)
    print(f"{args.out}: made from {len(lines)} texts and {len(wavs)} utterances")


def choose_wavs(wav_scp: Path | None) -> list[Path]:
    """Choose utterances spread over a wav.scp; none without one."""
    if wav_scp is None:
        return []
    paths = [Path(path) for _, path in sorted(read_table(wav_scp).items())]
    step = max(1, len(paths) // NUM_CALIBRATION_UTTERANCES)
    return paths[::step][:NUM_CALIBRATION_UTTERANCES]


def hash_inputs(lines: list[str], wavs: list[Path], seed: int) -> str:
    """Hash everything that the result depends on, this script included."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + CONFIG_PATH.read_bytes())
    digest.update(json.dumps([lines, seed]).encode())
    for path in wavs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_tokenizer(lines: list[str], vocab_size: int, folder: Path) -> None:
    """Train a byte-level BPE in the form of Qwen2's tokenizer."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, trainers
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = Split(Regex(QWEN2_SPLIT), behavior="isolated")
    byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_prefix_space": False,
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
    }
    text = json.dumps(config, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def write_model(config: dict, wavs: list[Path], seed: int, folder: Path) -> None:
    """Build the model, let its codec carry a signal, calibrate it and save it."""
    import torch

    from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
    from espnet_vibevoice.models.config import parse_config
    from espnet_vibevoice.models.realtime import RealtimeModel

    torch.set_num_threads(1)  # sums in one order, whatever the machine
    model = RealtimeModel.from_config(parse_config(config), seed)
    generator = torch.Generator().manual_seed(seed)
    set_unit_gain(model.acoustic_tokenizer, generator)
    waveforms = [load_waveform(path) for path in wavs]
    if not waveforms:  # noise of the same loudness
        waveforms = [torch.randn(4 * 24000, generator=generator) * TARGET_RMS]
    calibrate_codec(model, waveforms, target_rms=TARGET_RMS)
    model.save(folder)


def load_waveform(path: Path) -> "Tensor":
    """Load one utterance as stage 2 would leave it: 24 kHz, mono, -25 dBFS."""
    import torch

    from espnet_vibevoice.data.audio import (
        load_audio,
        normalize_loudness,
        resample,
        to_mono,
    )

    waveform, fs = load_audio(path)
    waveform = resample(to_mono(waveform), fs, 24000)
    return torch.from_numpy(normalize_loudness(waveform).copy())


if __name__ == "__main__":
    run_command(main)
