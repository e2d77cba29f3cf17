"""Train an acoustic encoder for a base that was released without one.

The decoder stays as it is: crops of the training set are encoded, decoded and compared
with themselves. Writes encoder.safetensors (give it as --acoustic_encoder), validation
curve and checkpoint; killed and called again it goes on where it stopped.
"""

import argparse
import logging
from dataclasses import fields
from itertools import islice
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf

FIT_UTTS = 8


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_model_options(parser)
    add = parser.add_argument
    add("--train_dir", type=Path, required=True, help="Kaldi data directory, 24 kHz")
    add("--valid_dir", type=Path, required=True, help="the same, other utterances")
    add("--out", type=Path, required=True, help="folder to write into")
    add("--from_scratch", action="store_true", help="start from fresh weights")
    add("--max_steps", type=int, default=100_000, help="steps in all")
    add("--batch_size", type=int, default=16, help="crops a step")
    add("--crop_frames", type=int, default=15, help="latent frames of a crop")
    add("--lr", type=float, default=3e-4, help="highest learning rate")
    add("--warmup_steps", type=int, default=500, help="steps in which it rises")
    add("--weight_decay", type=float, default=0.01, help="of AdamW")
    add("--grad_clip", type=float, default=1.0, help="largest norm of the gradient")
    add("--prior_weight", type=float, default=0.1, help="of the latent-prior term")
    add("--valid_interval", type=int, default=1000, help="steps between validations")
    add("--valid_utts", type=int, default=64, help="utterances to validate on")
    add("--seed", type=int, default=0, help="of initial weights and crops")
    add("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def train(args: argparse.Namespace, base: str, init: str | None, device: str) -> None:
    """Set up data, encoder and trainer; train until the end."""
    from espnet_vibevoice.data.crops import CropSource
    from espnet_vibevoice.data.encoding import fingerprint_base
    from espnet_vibevoice.models import encoder_init, encoder_training
    from espnet_vibevoice.models.base_folder import resolve_base
    from espnet_vibevoice.score.curve import ValidationCurve

    names = [row.name for row in fields(encoder_training.EncoderTrainingSettings)]
    settings = encoder_training.EncoderTrainingSettings(
        **{name: vars(args)[name] for name in names}
    )
    codec, is_fresh = encoder_init.load_codec_to_train(base, init, args.from_scratch)
    codec = codec.to(device)
    fs, crop_samples = codec.sampling_rate, args.crop_frames * codec.hop_samples
    source = CropSource(args.train_dir, fs, crop_samples, device)
    held_out = CropSource(args.valid_dir, fs, crop_samples, device)
    scale, bias = encoder_init.read_latent_scale(base)
    if is_fresh:
        crops = source.draw(args.batch_size, args.seed, 0)
        encoder_init.init_encoder(codec, crops, scale, bias, args.seed)
    identity = {
        "base": fingerprint_base(resolve_base(base), init),
        "train_dir": str(args.train_dir),
        "valid_dir": str(args.valid_dir),
        "is_fresh": str(is_fresh),
        "batch": f"{args.batch_size} crops of {args.crop_frames} frames",
    }
    trainer = encoder_training.EncoderTrainer(
        codec, scale, bias, settings, args.out, identity
    )
    if trainer.resume():
        logging.info(f"going on behind step {trainer.step}")
    trainer.run(
        lambda step: source.draw(args.batch_size, args.seed, step),
        held_out.take_first(args.valid_utts, args.batch_size),
        ValidationCurve(args.out),
    )


def main() -> None:
    """Train, then tell how well the best encoder fits."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from espnet_vibevoice.data.encoding import AudioEncoder
    from espnet_vibevoice.score.fit import FitLimits

    tts_conf = read_tts_conf(args)
    device = "cuda" if args.ngpu else "cpu"
    train(args, tts_conf["base"], tts_conf.get("acoustic_encoder"), device)
    best = args.out / "encoder.safetensors"
    audio = dict(islice(read_table(args.valid_dir / "wav.scp").items(), FIT_UTTS))
    encoder = AudioEncoder(tts_conf["base"], str(best), device)
    report = encoder.check_fit(audio, FitLimits.from_conf(tts_conf))
    print(f"{best}: {report.summarize()}")


if __name__ == "__main__":
    run_command(main)
