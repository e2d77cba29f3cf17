"""Tokens per second of a corpus, and whether the text window keeps up (stage 4).

Prints and writes one line a set. Fails when, in the first set, text would lag behind
speech on more than --max_lagging_share of the utterances; the message names the
setting to change. Multi-speaker bases read all text first, so nothing can lag there.
The other sets are only reported: they are not trained on, and may be so small that one
utterance is more than the share.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.text.token_rate import (
    format_report,
    measure_token_rate,
    smallest_text_window,
)
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
    parser.add_argument("--output", type=Path, required=True, help="report to write")
    return parser


def main() -> None:
    """Measure, report, judge."""
    args = get_parser().parse_args()
    tts_conf = read_tts_conf(args)
    default = RealtimeLossSettings()
    text_window = tts_conf.get("text_window", default.text_window)
    speech_window = tts_conf.get("speech_window", default.speech_window)
    if is_multispeaker(tts_conf["base"]):
        text_window = None
    tokenizer = load_base_tokenizer(tts_conf)
    codec = read_codec_shape(tts_conf["base"])
    lines = []
    failure = None
    for directory in args.data_dirs:
        texts = read_table(directory / "text")
        samples = read_table(directory / "utt2num_samples")
        tokens = {key: tokenizer.count_spoken(text) for key, text in texts.items()}
        frames = {key: -(-int(samples[key]) // codec.hop_samples) for key in texts}
        rate = measure_token_rate(
            tokens,
            frames,
            frame_rate_hz=codec.sampling_rate / codec.hop_samples,
            text_window=text_window,
            speech_window=speech_window,
        )
        lines.append(format_report(rate, directory.name))
        print(lines[-1])
        is_trained_on = directory == args.data_dirs[0]
        if is_trained_on and rate.lagging_share > args.max_lagging_share:
            enough = smallest_text_window(
                tokens, frames, speech_window, args.max_lagging_share
            )
            failure = (
                f"{lines[-1]}, more than {100 * args.max_lagging_share:g} %, first "
                f"{rate.lagging[0]}. Set tts_conf: {{text_window: {enough}}} (or "
                "larger) in the training configuration; the further from the "
                "released 5/6, the more training it takes"
            )
    write_lines(args.output, lines)
    if failure is not None:
        raise ValueError(failure)


if __name__ == "__main__":
    run_command(main)
