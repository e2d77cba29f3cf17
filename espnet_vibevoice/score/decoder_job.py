"""One decoding job: a model, a list of texts, a folder, and what is done already."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed

from espnet_vibevoice.data.kaldi import iterate_table, read_table
from espnet_vibevoice.data.stamp import find_changes, write_stamp
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.decoder import Decoder
from espnet_vibevoice.score.decoder_settings import DecoderSettings
from espnet_vibevoice.score.decoding import find_left
from espnet_vibevoice.score.decoding_journal import (
    JOURNAL,
    read_records,
    write_records,
)
from espnet_vibevoice.tts.decoding_options import SETTINGS
from espnet_vibevoice.tts.espnet_model import VibeVoiceESPnetModel
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

# Where none is asked for. On a CPU 4 at once take 0.29 of the time of one by one, 8
# take 0.22 (benchmarks/generation_batch.py, one thread).
BATCH_SIZES = {"cpu": 8, "cuda": 16}
STAMP = ".decoding"
# Options that change nothing of what is spoken.
NEUTRAL = (
    "allow_variable_data_keys batch_size config data_path_and_name_and_type key_file "
    "log_level ngpu num_timed num_workers output_dir"
).split()
logger = logging.getLogger(__name__)


def run_job(args: argparse.Namespace) -> int:
    """Decode what a job has not decoded yet.

    Args:
        args (Namespace): Options of ``bin/decode``.

    Returns:
        int: How many utterances could not be spoken; the journal has the reasons.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If options are wrong, or the folder holds other work.
    """
    device = check_options(args)
    settings = DecoderSettings(
        batch_size=BATCH_SIZES[device] if args.batch_size is None else args.batch_size,
        seed=args.seed,
        always_fix_seed=args.always_fix_seed,
        voice_prompt=_unpack(args.voice_prompt),
        options={n: vars(args)[n] for n in SETTINGS if vars(args)[n] is not None},
        num_timed=args.num_timed,
    )
    path = find_text(args.data_path_and_name_and_type)
    texts = read_texts(path, args.key_file)
    folder = Path(args.output_dir)
    left = resume(folder, args, path, texts)
    logger.info("%d of %d utterances are left to decode", len(left), len(texts))
    if not left:
        return 0
    set_all_random_seed(args.seed)
    model, train_args = load_model(args, device)
    preprocess = VibeVoiceTTSTask.build_preprocess_fn(train_args, False)

    def encode(utt_id: str, text: str) -> torch.Tensor:
        return torch.from_numpy(preprocess(utt_id, {"text": text})["text"])

    decoder = Decoder(model.tts, encode, folder, settings)
    return decoder.decode({utt_id: texts[utt_id] for utt_id in left})


def check_options(args: argparse.Namespace) -> str:
    """Refuse what these models do not know.

    Args:
        args (Namespace): Options of ``bin/decode``.

    Returns:
        str: The device: cpu | cuda.

    Raises:
        ValueError: If an option cannot be followed.
    """
    if args.ngpu > 1:
        raise ValueError(f"--ngpu {args.ngpu}: a job decodes on one GPU at most.")
    if args.use_teacher_forcing:
        raise ValueError(
            "--use_teacher_forcing true: these models speak from text alone. Leave it "
            "out."
        )
    if args.ngpu == 1 and not torch.cuda.is_available():
        raise ValueError("--ngpu 1: torch sees no GPU. Give --ngpu 0.")
    return "cuda" if args.ngpu else "cpu"


def find_text(data: Sequence[tuple[str, str, str]]) -> Path:
    """Find the texts among the data that are given; speech is not looked at.

    Args:
        data (Sequence): Path, name and type of each, as ESPnet understands them.

    Raises:
        ValueError: If there is none, or anything else.
    """
    wanted = [(path, kind) for path, name, kind in data if name == "text"]
    others = [name for _, name, _ in data if name not in ("text", "speech")]
    if len(wanted) != 1 or wanted[0][1] != "text" or others:
        said = " ".join(",".join(one) for one in data)
        raise ValueError(
            f"--data_path_and_name_and_type {said}: wanted one PATH,text,text. These "
            "models speak from text alone."
        )
    return Path(wanted[0][0])


def read_texts(path: Path, key_file: str | None) -> dict[str, str]:
    """Read texts.

    Args:
        path (Path): Kaldi table.
        key_file (str | None): Table whose keys are wanted; None: all.

    Returns:
        dict[str, str]: Utterance id to text.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a key has no text.
    """
    texts = read_table(path)
    if key_file is None:
        return texts
    keys = [key for key, _ in iterate_table(key_file)]
    unknown = [key for key in keys if key not in texts]
    if unknown:
        raise ValueError(
            f"{key_file}: {len(unknown)} utterances are not in {path}: "
            f"{summarize_faults(unknown)}. Make the list anew."
        )
    return {key: texts[key] for key in keys}


def resume(
    folder: Path, args: argparse.Namespace, path: Path, texts: dict[str, str]
) -> list[str]:
    """Find what an interrupted job of the same options left undone.

    Args:
        folder (Path): Folder of the job.
        args (Namespace): Options of ``bin/decode``.
        path (Path): Kaldi table of the texts.
        texts (dict): Utterance id to text.

    Returns:
        list[str]: Utterances to decode.

    Raises:
        FileNotFoundError: If the model does not exist.
        ValueError: If the folder was begun with other options.
    """
    options = {k: str(v) for k, v in vars(args).items() if k not in NEUTRAL}
    given = [args.train_config, args.model_file, path]
    inputs = [one for one in given if one is not None]
    if (folder / STAMP).is_file():
        changes = find_changes(folder / STAMP, options, inputs)
        if changes:
            raise ValueError(
                f"{folder} was begun with other options ({summarize_faults(changes)}): "
                "remove it or give another --output_dir"
            )
    write_stamp(folder / STAMP, options, inputs)
    records = read_records(folder / JOURNAL)
    if records:
        write_records(folder / JOURNAL, records)  # without a line cut off by a kill
    return find_left(texts, folder / "wav", records)


def load_model(
    args: argparse.Namespace, device: str
) -> tuple[VibeVoiceESPnetModel, argparse.Namespace]:
    """Load a model as ``espnet2.bin.tts_inference`` does.

    Args:
        args (Namespace): Options of ``bin/decode``.
        device (str): cpu | cuda.

    Returns:
        tuple: The model, in evaluation mode, and the options of its training.

    Raises:
        FileNotFoundError: If a file does not exist.
        RuntimeError: If a tag is given and nothing to download it with is installed.
        ValueError: If no model is named, or it is not one of ours.
    """
    train_config, model_file = args.train_config, args.model_file
    if args.model_tag is not None:
        try:
            from espnet_model_zoo.downloader import ModelDownloader
        except ImportError as err:
            raise RuntimeError(
                "--model_tag needs espnet_model_zoo: pip install espnet_model_zoo"
            ) from err
        found = ModelDownloader().download_and_unpack(args.model_tag)
        train_config, model_file = found["train_config"], found["model_file"]
    if train_config is None or model_file is None:
        raise ValueError(
            "no model is named: give --train_config and --model_file, or --model_tag."
        )
    if args.base is not None:
        VibeVoiceTTSTask.default_base = args.base
    if args.acoustic_encoder is not None:
        VibeVoiceTTSTask.default_acoustic_encoder = args.acoustic_encoder
    model, train_args = VibeVoiceTTSTask.build_model_from_file(
        train_config, model_file, device
    )
    if not VibeVoiceTTSTask.is_ours(train_args) or not train_args.use_preprocessor:
        raise ValueError(
            f"{train_config} is of tts: {train_args.tts} with use_preprocessor "
            f"{train_args.use_preprocessor}, which this command cannot decode. Use "
            "espnet2.bin.tts_inference."
        )
    return model.to(dtype=getattr(torch, args.dtype)).eval(), train_args


def _unpack(voices: str | Sequence[str] | None) -> str | Sequence[str] | None:
    """Give a single voice of a list as itself: the realtime family has one."""
    is_list = not isinstance(voices, str) and voices is not None
    return voices[0] if is_list and len(voices) == 1 else voices
