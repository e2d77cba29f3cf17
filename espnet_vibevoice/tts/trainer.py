"""ESPnet's trainer with a dry step, samples, speed figures and the remaining time.

Only methods that ESPnet's `Trainer` means to be overridden are; each does its own part
and lets ESPnet's do the rest.
"""

import argparse
import dataclasses
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
from espnet2.schedulers.abs_scheduler import AbsScheduler
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.reporter import SubReporter
from espnet2.train.trainer import Trainer, TrainerOptions
from espnet2.utils.types import str2bool
from torch.cuda.amp import GradScaler
from torch.nn.parallel import DataParallel, DistributedDataParallel

from espnet_vibevoice.tts.dry_step import run_dry_step
from espnet_vibevoice.tts.espnet_model import VibeVoiceESPnetModel
from espnet_vibevoice.tts.nbest import replace_averages
from espnet_vibevoice.tts.remaining_time import RemainingTime
from espnet_vibevoice.tts.samples import SampleWriter, is_sample_epoch, write_samples
from espnet_vibevoice.tts.scheduler import WarmupCosineLR
from espnet_vibevoice.tts.throughput import (
    Batch,
    StepMeter,
    StepReporter,
    WatchedBatches,
)

if TYPE_CHECKING:  # starting takes seconds less without it
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

SEED_STRIDE = 1_000_003  # between processes; larger than any number of epochs


@dataclasses.dataclass
class VibeVoiceTrainerOptions(TrainerOptions):
    """ESPnet's options and ours.

    Args:
        dry_step (bool): Whether the largest batch is tried first.
        sample_interval (int): Epochs between samples; 0: none.
        train_shape_file (list[str]): Shape files of the training set.
        batch_bins (int): As configured, for messages.
        remaining (RemainingTime): Estimates of this training.
    """

    dry_step: bool
    sample_interval: int
    train_shape_file: list[str]
    batch_bins: int
    remaining: RemainingTime


class VibeVoiceTrainer(Trainer):
    """Trains what `VibeVoiceTTSTask` builds."""

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add our options to ESPnet's parser."""
        group = parser.add_argument_group("VibeVoice training")
        group.add_argument(
            "--dry_step",
            type=str2bool,
            default=True,
            help="Try the largest batch before the first epoch, so that memory runs "
            "out at once or not at all",
        )
        group.add_argument(
            "--sample_interval",
            type=int,
            default=5,
            help="Epochs after which --num_att_plot validation texts are spoken into "
            "OUTPUT_DIR/samples and TensorBoard; 0: never",
        )

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> VibeVoiceTrainerOptions:
        """Pick the trainer's options.

        Args:
            args (Namespace): All options.

        Raises:
            ValueError: If one is out of range.
        """
        if args.sample_interval < 0:
            raise ValueError(
                f"sample_interval is {args.sample_interval}: give a number of epochs, "
                "or 0 for no samples"
            )
        return VibeVoiceTrainerOptions(
            **vars(super().build_options(args)),
            dry_step=args.dry_step,
            sample_interval=args.sample_interval,
            train_shape_file=list(args.train_shape_file),
            batch_bins=args.batch_bins,
            remaining=RemainingTime(args.max_epoch),
        )

    @classmethod
    def run(
        cls,
        model: VibeVoiceESPnetModel,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[AbsScheduler | None],
        train_iter_factory: AbsIterFactory,
        valid_iter_factory: AbsIterFactory,
        plot_attention_iter_factory: AbsIterFactory | None,
        trainer_options: VibeVoiceTrainerOptions,
        distributed_option: DistributedOption,
    ) -> None:
        """Train; see ESPnet for the arguments.

        Raises:
            RuntimeError: If memory runs out in the dry step.
            ValueError: If an epoch has too few batches for one optimiser step.
        """
        set_training_length(schedulers, train_iter_factory, trainer_options)
        average_after_steps(model, optimizers)
        if trainer_options.dry_step and not trainer_options.no_forward_run:
            run_dry_step(
                model,
                train_iter_factory,
                trainer_options.train_shape_file,
                batch_bins=trainer_options.batch_bins,
            )
        super().run(
            model=model,
            optimizers=optimizers,
            schedulers=schedulers,
            train_iter_factory=train_iter_factory,
            valid_iter_factory=valid_iter_factory,
            plot_attention_iter_factory=plot_attention_iter_factory,
            trainer_options=trainer_options,
            distributed_option=distributed_option,
        )
        if distributed_option.dist_rank in (None, 0):
            replace_averages(Path(trainer_options.output_dir))

    @classmethod
    def train_one_epoch(
        cls,
        model: torch.nn.Module,
        iterator: Iterable[Batch],
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[AbsScheduler | None],
        scaler: GradScaler | None,
        reporter: SubReporter,
        summary_writer: "SummaryWriter | None",
        options: VibeVoiceTrainerOptions,
        distributed_option: DistributedOption,
    ) -> bool:
        """Train for one epoch whose draws depend on seed, epoch and process only.

        Gradients that the epoch before has left over, from batches too few for a step,
        are dropped: a resumed training does not have them either.

        Returns:
            bool: Whether no step was made, as in ESPnet.
        """
        for optimizer in optimizers:
            optimizer.zero_grad()
        seed = options.seed + reporter.get_epoch()
        unwrap_model(model).tts.start_epoch(seed)
        own_seed = seed + SEED_STRIDE * (distributed_option.dist_rank or 0)
        device = torch.device("cuda" if options.ngpu > 0 else "cpu")
        meter = StepMeter(device, distributed_option.distributed)
        step_reporter = StepReporter(reporter, meter, options.remaining)
        options.remaining.start_epoch(reporter.get_epoch(), count_batches(iterator))
        all_steps_are_invalid = super().train_one_epoch(
            model=model,
            iterator=WatchedBatches(iterator, meter, own_seed),
            optimizers=optimizers,
            schedulers=schedulers,
            scaler=scaler,
            reporter=step_reporter,
            summary_writer=summary_writer,
            options=options,
            distributed_option=distributed_option,
        )
        step_reporter.hand_back()
        options.remaining.end_epoch(step_reporter.count)
        return all_steps_are_invalid

    @classmethod
    def plot_attention(
        cls,
        model: VibeVoiceESPnetModel,
        output_dir: Path | None,
        summary_writer: "SummaryWriter | None",
        iterator: Iterable[Batch],
        reporter: SubReporter,
        options: VibeVoiceTrainerOptions,
    ) -> None:
        """Speak the utterances whose attention ESPnet would draw."""
        epoch = reporter.get_epoch()
        if not is_sample_epoch(epoch, options.sample_interval, options.max_epoch):
            return
        writer = SampleWriter(
            folder=Path(options.output_dir) / "samples",
            epoch=epoch,
            fs=model.tts.fs,
            summary_writer=summary_writer,
            use_wandb=options.use_wandb,
        )
        write_samples(model.tts, iterator, writer)


def unwrap_model(model: torch.nn.Module) -> VibeVoiceESPnetModel:
    """Return the model inside what distributed training wraps around it.

    Args:
        model (Module): The model, wrapped or not.
    """
    is_wrapped = isinstance(model, DistributedDataParallel | DataParallel)
    return model.module if is_wrapped else model


def count_batches(iterator: Iterable[Any]) -> int | None:
    """Count the batches of an epoch; None if nobody knows their number.

    Args:
        iterator (Iterable): What an iterator factory of ESPnet makes.
    """
    try:
        return len(iterator)
    except TypeError:
        return None


def set_training_length(
    schedulers: Sequence[AbsScheduler | None],
    factory: AbsIterFactory,
    options: TrainerOptions,
) -> None:
    """Tell schedulers of ours how many optimiser steps the training has.

    Args:
        schedulers (Sequence): ESPnet's or ours.
        factory (AbsIterFactory): Makes the batches of each epoch.
        options (TrainerOptions): Epochs and batches per step.

    Raises:
        ValueError: If an epoch has too few batches for one step.
    """
    if not isinstance(factory, SequenceIterFactory):
        return
    num_batches = factory.num_iters_per_epoch or len(factory.sampler)
    steps = num_batches // options.accum_grad
    if steps == 0:
        raise ValueError(
            f"an epoch has {num_batches} batches, but accum_grad is "
            f"{options.accum_grad}, so no step would be made: lower accum_grad or "
            "batch_bins, or set num_iters_per_epoch"
        )
    for scheduler in schedulers:
        if isinstance(scheduler, WarmupCosineLR):
            scheduler.set_total_steps(steps * options.max_epoch)


def average_after_steps(
    model: VibeVoiceESPnetModel, optimizers: Sequence[torch.optim.Optimizer]
) -> None:
    """Have the moving average of the weights follow the optimiser, if there is one.

    Args:
        model (VibeVoiceESPnetModel): The model.
        optimizers (Sequence): Its one optimiser.
    """
    average = model.tts.ema
    if average is None:
        return
    for optimizer in optimizers:
        optimizer.register_step_post_hook(lambda *unused: average.update())
