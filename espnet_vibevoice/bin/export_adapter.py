"""Export what an experiment has trained as an adapter for other tools.

Layout peft: a folder for each part with LoRA, as peft writes it, and a .safetensors
file for each part trained in full. Layout community: lora/ as tools for VibeVoice read
it. Both with a description, a model card and the training's config.yaml.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, help="experiment, or another adapter")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--checkpoint",
        help="file of the experiment (default: valid.loss.best.pth, else its only "
        "*.best.pth)",
    )
    parser.add_argument("--format", choices=("peft", "community"), default="peft")
    parser.add_argument(
        "--licence", help="licence of the adapter: hub identifier or a sentence"
    )
    parser.add_argument(
        "--title", default="VibeVoice adapter", help="title of the card"
    )
    return parser


def main() -> None:
    """Export and say what."""
    args = get_parser().parse_args()
    from espnet_vibevoice.adapters.card import CardText
    from espnet_vibevoice.adapters.export import export_adapter

    adapter = export_adapter(
        args.experiment,
        args.out,
        checkpoint=args.checkpoint,
        layout=args.format,
        text=CardText(args.title, args.licence),
    )
    how = [f"{part} {adapter.plan.describe(part)}" for part in adapter.parts]
    print(f"{args.out}: {adapter.count_tensors()} tensors: {', '.join(how)}")


if __name__ == "__main__":
    run_command(main)
