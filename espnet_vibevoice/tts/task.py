"""ESPnet's TTS task with our models, tokenizer and dumped latents.

Everything else is ESPnet's: options, trainer, samplers, reporter, checkpoints. For
other TTS models the task does what ESPnet's does.
"""

import argparse
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from espnet2.tasks.abs_task import IteratorOptions
from espnet2.tasks.tts import TTSTask, feats_extractor_choices, tts_choices
from espnet2.train.distributed_utils import DistributedOption
from espnet2.tts.espnet_model import ESPnetTTSModel

from espnet_vibevoice import plugin
from espnet_vibevoice.adapters.summary import refuse_untrained
from espnet_vibevoice.data.kaldi import write_table
from espnet_vibevoice.data.latents import SEMANTIC, count_frames_in_shape_file
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.text.cleaners import CLEANERS, find_cleaner
from espnet_vibevoice.tts.base_names import name_revision, portable_base
from espnet_vibevoice.tts.conf import load_base_tokenizer
from espnet_vibevoice.tts.dumped_latents import use_dumped_latents
from espnet_vibevoice.tts.espnet_model import VibeVoiceESPnetModel
from espnet_vibevoice.tts.option_checks import (
    check_family,
    check_keys,
    check_token_list,
    refuse_auto_window,
    refuse_other_ways,
)
from espnet_vibevoice.tts.prompts import build_prompt_source
from espnet_vibevoice.tts.script_checks import check_lengths
from espnet_vibevoice.tts.statistics import build_statistics_model
from espnet_vibevoice.tts.trainer import VibeVoiceTrainer

TOKEN_TYPE = "hugging_face"


class VibeVoiceTTSTask(TTSTask):
    """TTS task that knows the VibeVoice models.

    Attributes:
        default_base (str | None): Base model for a configuration that names none;
            set from the command line of ``python -m espnet_vibevoice``.
        default_acoustic_encoder (str | None): The same of the acoustic encoder.
    """

    trainer = VibeVoiceTrainer
    default_base: str | None = None
    default_acoustic_encoder: str | None = None

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Admit our values of ``--token_type`` and ``--cleaner``."""
        super().add_task_arguments(parser)
        ours = {"--token_type": [TOKEN_TYPE], "--cleaner": list(CLEANERS)}
        for action in parser._actions:
            for option in ours.keys() & set(action.option_strings):
                action.choices = [*action.choices, *ours[option]]

    @classmethod
    def is_ours(cls, args: argparse.Namespace) -> bool:
        """Tell whether the configuration asks for one of our models."""
        return args.tts in plugin.TTS_CLASSES

    @classmethod
    def reads_scripts(cls, args: argparse.Namespace) -> bool:
        """Tell whether the model is of the multi-speaker family."""
        return plugin.TTS_CLASSES[args.tts].preprocessor_class.reads_scripts

    @classmethod
    def optional_data_names(
        cls, train: bool = True, inference: bool = False
    ) -> tuple[str, ...]:
        """Admit semantic features, which the multi-speaker family is trained on."""
        names = super().optional_data_names(train, inference)
        return names if inference else (*names, SEMANTIC)

    @classmethod
    def main(
        cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None
    ) -> None:
        """Put the base model of the command line into the arguments, then run.

        ESPnet starts a process for each of several GPUs. Those get the arguments, but
        not what was set on this class.
        """
        if args is None:
            args = cls.get_parser().parse_args(cmd)
        if cls.is_ours(args):
            args.tts_conf = cls.fill_defaults(args.tts_conf)
        super().main(args)

    @classmethod
    def fill_defaults(cls, tts_conf: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return ``tts_conf`` with what the command line named and it does not."""
        filled = dict(tts_conf or {})
        if filled.get("base") is None:
            filled["base"] = cls.default_base
        if filled.get("acoustic_encoder") is None and cls.default_acoustic_encoder:
            filled["acoustic_encoder"] = cls.default_acoustic_encoder
        return filled

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Collect statistics or train, on latents in either case.

        Statistics: ``speech_shape`` is rewritten from samples to frames, the unit
        of what is trained on. Training: where a data list names audio, the latents
        that the statistics stage wrote beside the shape files take its place.
        """
        if not cls.is_ours(args):
            TTSTask.main_worker(args)  # with ESPnet's trainer
            return
        cls.complete_args(args)
        refuse_other_ways(args)
        if not args.collect_stats:
            for mode in ("train", "valid"):
                use_dumped_latents(args, mode, cls.reads_scripts(args))
        super().main_worker(args)
        # ESPnet leaves the group of processes to the end of the interpreter, where a
        # thread of it that still runs aborts a process that has finished its training.
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        if args.collect_stats:
            hop_samples = read_codec_shape(args.tts_conf["base"]).hop_samples
            for mode in ("train", "valid"):
                shape_file = Path(args.output_dir) / mode / "speech_shape"
                count_frames_in_shape_file(shape_file, hop_samples)

    @classmethod
    def complete_args(cls, args: argparse.Namespace) -> None:
        """Fill in the base model and check what a trace would explain badly.

        Raises:
            ValueError: If no base is named, token type, cleaner, feature extractor or
                normalisation are another model's, the text window is not measured yet,
                or ``tts_conf`` has a key that the model does not know.
        """
        args.tts_conf = cls.fill_defaults(args.tts_conf)
        if args.tts_conf["base"] is None:
            raise ValueError(
                f"tts: {args.tts} needs a base model: set tts_conf: {{base: ...}} or "
                "run with --python 'python3 -m espnet_vibevoice --base BASE'"
            )
        args.tts_conf["base"] = portable_base(args.tts_conf["base"])
        if args.token_type != TOKEN_TYPE:
            raise ValueError(
                f"token_type is {args.token_type}, tts: {args.tts} needs "
                f"{TOKEN_TYPE}: give --token_type {TOKEN_TYPE}"
            )
        find_cleaner(args.cleaner)
        refuse_auto_window(args.tts_conf)
        if args.odim is None and args.feats_extract not in plugin.FEATS_EXTRACT_CLASSES:
            raise ValueError(
                f"feats_extract is {args.feats_extract}, tts: {args.tts} needs "
                "vibevoice_latents: give --feats_extract vibevoice_latents"
            )
        if args.normalize is not None:
            raise ValueError(
                f"normalize is {args.normalize}, but the base brings the scale of its "
                "latents: give --normalize none (tts.sh: --feats_normalize none)"
            )
        check_keys("tts_conf", args.tts_conf, tts_choices.get_class(args.tts))

    @classmethod
    def build_preprocess_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> Callable | None:
        """Return the preprocessor: the base's tokenizer for our models."""
        if cls.is_ours(args) and args.use_preprocessor:
            check_family(args.tts, args.tts_conf["base"])
            kind = plugin.TTS_CLASSES[args.tts].preprocessor_class
            tokenizer = load_base_tokenizer(args.tts_conf)
            return kind(train, tokenizer, clean=find_cleaner(args.cleaner))
        return super().build_preprocess_fn(args, train)

    @classmethod
    def build_iter_options(
        cls,
        args: argparse.Namespace,
        distributed_option: DistributedOption,
        mode: str,
    ) -> IteratorOptions:
        """Give training and validation their voice prompts; decoding gets none.

        Who prompts whom is written to ``utt2prompt.<mode>`` beside config.yaml.
        """
        options = super().build_iter_options(args, distributed_option, mode)
        if not cls.is_ours(args) or options.preprocess_fn is None:
            return options
        prompts = build_prompt_source(
            args.tts_conf,
            options.data_path_and_name_and_type,
            options.shape_files,
            options.preprocess_fn,
        )
        options.preprocess_fn.prompts = prompts
        if cls.reads_scripts(args):
            check_lengths(args.tts_conf["base"], options.shape_files, prompts)
        if prompts is not None and distributed_option.dist_rank in (None, 0):
            path = Path(args.output_dir) / f"utt2prompt.{mode}"
            write_table(path, prompts.utt2prompt)
        return options

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetTTSModel:
        """Build the model.

        The vocabulary is the tokenizer's; ``token_list`` is only compared with it,
        so that config.yaml keeps its path instead of 150 000 tokens.
        """
        if not cls.is_ours(args):
            return super().build_model(args)
        # 1. Base, token type, keys
        cls.complete_args(args)
        base = args.tts_conf["base"]
        # 2. Vocabulary
        vocabulary = load_base_tokenizer(args.tts_conf).vocabulary()
        if isinstance(args.token_list, str) and Path(args.token_list).exists():
            check_token_list(Path(args.token_list), vocabulary, base)
        # 3. Model, from a copy: ESPnet puts the whole vocabulary into its arguments.
        #    Statistics need its extractor only.
        given = argparse.Namespace(**vars(args))
        given.token_list = vocabulary
        given.model_conf = dict(args.model_conf or {})
        given.model_conf.pop("extract_feats_in_collect_stats", None)
        if args.odim is None:
            encoding = {
                key: args.tts_conf[key]
                for key in ("base", "acoustic_encoder", "min_encoder_fit")
                if key in args.tts_conf
            }
            given.feats_extract_conf = dict(args.feats_extract_conf or {}) | encoding
            if args.collect_stats:
                extractor = feats_extractor_choices.get_class(args.feats_extract)
                return build_statistics_model(extractor(**given.feats_extract_conf))
        model = VibeVoiceESPnetModel.wrap(super().build_model(given))
        # 4. What config.yaml says of the base
        args.tts_conf["base"] = name_revision(base)
        args.tts_conf["base_fingerprint"] = model.tts.base_fingerprint
        return model

    @classmethod
    def build_model_from_file(
        cls,
        config_file: Path | str | None = None,
        model_file: Path | str | None = None,
        device: str = "cpu",
    ) -> tuple[ESPnetTTSModel, argparse.Namespace]:
        """Build a model and load its weights; see ESPnet for the arguments.

        Raises:
            ValueError: If the file of weights is cut off.
        """
        try:
            return super().build_model_from_file(config_file, model_file, device)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as err:
            # torch.save writes a zip archive, whose directory comes last
            is_there = model_file is not None and Path(model_file).is_file()
            if not is_there or zipfile.is_zipfile(model_file):
                raise
            raise ValueError(
                f"{model_file}: cut off, or no checkpoint: copy it again, or take "
                "another epoch. Where a kill cut it off, running the training again "
                "(stage 6) mends it"
            ) from err

    @classmethod
    def build_optimizers(
        cls, args: argparse.Namespace, model: torch.nn.Module
    ) -> list[torch.optim.Optimizer]:
        """Build ESPnet's optimiser of what is trained.

        Raises:
            ValueError: If nothing is.
        """
        if cls.is_ours(args) and not args.collect_stats:
            refuse_untrained(model)
        return super().build_optimizers(args, model)
