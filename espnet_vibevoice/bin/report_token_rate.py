"""Tokens per second of a corpus, and whether the text window keeps up (stage 4).

Writes figures, the worst utterances and a histogram of each set. Fails when, in the
first set, text would lag behind speech on more than --max_lagging_share of the
utterances; the message names the setting to change. With text_window: auto the
smallest window that keeps up is taken instead. The other sets are only reported: they
are not trained on, and may be so small that one utterance is more than the share.
Multi-speaker bases read all text first, so nothing can lag there.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.score.histogram import draw_histograms
from espnet_vibevoice.text.token_rate import (
    AUTO_WINDOW,
    LONG_LIST,
    TokenRate,
    format_report,
    measure_token_rate,
    smallest_text_window,
    summarize,
)
from espnet_vibevoice.text.tokenizer import TextTokenizer
from espnet_vibevoice.tts.conf import (
    add_model_options,
    is_multispeaker,
    load_base_tokenizer,
    read_tts_conf,
)


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dirs", type=Path, nargs="+", help="sets; first: training")
    add_model_options(parser)
    parser.add_argument("--max_lagging_share", type=float, default=0.01, help="0 to 1")
    parser.add_argument(
        "--output", type=Path, required=True, help="report to write; .png: histograms"
    )
    parser.add_argument(
        "--window_args",
        type=Path,
        help="file to write: the options of tts_train that text_window: auto stands "
        "for; empty if the window is a number",
    )
    return parser


def count_tokens(tokenizer: TextTokenizer, text: Path) -> dict[str, int]:
    """Count the tokens of each utterance; show progress on a long list."""
    texts = read_table(text)
    progress = Progress(len(texts)) if len(texts) > LONG_LIST else None
    counts = {}
    for utt_id, words in texts.items():
        counts[utt_id] = tokenizer.count_spoken(words)
        if progress is not None:
            progress.update()
    return counts


def check_lagging(rate: TokenRate, name: str, max_share: float) -> None:
    """Refuse a window that text cannot keep up with.

    Raises:
        ValueError: If it lags in more utterances than that share.
    """
    if rate.lagging_share <= max_share:
        return
    enough = smallest_text_window(
        rate.tokens, rate.frames, rate.speech_window, max_share
    )
    raise ValueError(
        f"{summarize(rate, name)}: more than {100 * max_share:g} %. Set tts_conf: "
        f"{{text_window: {enough}}} (or larger, or {AUTO_WINDOW}) in the training "
        "configuration; the further from the released 5/6, the more training it takes"
    )


def measure_sets(
    args: argparse.Namespace, tts_conf: Mapping[str, Any]
) -> dict[str, TokenRate]:
    """Measure each set, all with the window that the first one has or gets."""
    default = RealtimeLossSettings()
    text_window = tts_conf.get("text_window", default.text_window)
    if is_multispeaker(tts_conf["base"]):
        text_window = None
    tokenizer = load_base_tokenizer(tts_conf)
    codec = read_codec_shape(tts_conf["base"])
    rates: dict[str, TokenRate] = {}
    for directory in args.data_dirs:
        samples = read_table(directory / "utt2num_samples")
        frames = {key: -(-int(samples[key]) // codec.hop_samples) for key in samples}
        rate = measure_token_rate(
            count_tokens(tokenizer, directory / "text"),
            frames,
            frame_rate_hz=codec.sampling_rate / codec.hop_samples,
            text_window=text_window,
            speech_window=tts_conf.get("speech_window", default.speech_window),
            max_lagging_share=args.max_lagging_share,
        )
        text_window = rate.text_window
        rates[directory.name] = rate
    return rates


def main() -> None:
    """Measure, report, judge."""
    args = get_parser().parse_args()
    tts_conf = read_tts_conf(args)
    rates = measure_sets(args, tts_conf)
    first = args.data_dirs[0].name
    rate = rates[first]
    lines = [line for name in rates for line in format_report(rates[name], name)]
    window_args = []
    if tts_conf.get("text_window") == AUTO_WINDOW:
        lines.append(f"text_window: {AUTO_WINDOW} takes {rate.text_window}")
        window_args.append(f"--tts_conf text_window={rate.text_window}")
    write_lines(args.output, lines)
    draw_histograms(
        {name: rates[name].per_second for name in rates},
        args.output.with_suffix(".png"),
        limit=rate.limit,
        limit_label=f"what window {rate.text_window}/{rate.speech_window} reads",
        quantity="tokens per second",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    if args.window_args is not None:
        write_lines(args.window_args, window_args)
    check_lagging(rate, first, args.max_lagging_share)


if __name__ == "__main__":
    run_command(main)
