"""The loop of generation: windows of text, then frames, until speech ends.

Two branches run side by side, each with its own cache: one reads text and frames, the
other the negative prompt and the same frames. Before every frame the diffusion head is
guided from the second to the first. All rows of a batch make their frames in step; a
row that has ended drops out. A row always ends: see `Utterance.find_limit`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_vibevoice.models.branch import Branch
from espnet_vibevoice.models.diffusion import GuidedSampler
from espnet_vibevoice.models.generation_settings import GenerationSettings
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.text_windows import TextWindows


@dataclass
class Utterance:
    """One row on its way.

    Args:
        text (TextWindows): What it says.
        draw_noise (Callable): Returns the noise of frame k (D,), or None to stop.
        num_frames (int): Frames made so far.
        max_positions (int): Positions of the base behind the voice prompt; set by
            the loop.
    """

    text: TextWindows
    draw_noise: Callable[[int], Tensor | None]
    num_frames: int = 0
    max_positions: int = 0

    def find_limit(self, settings: GenerationSettings) -> str:
        """Name the limit that allows no further frame.

        Args:
            settings (GenerationSettings): Caps.

        Returns:
            str: Limit and value; empty while there is room.
        """
        if self.num_frames >= settings.max_frames:
            return f"max_frames {settings.max_frames}"
        num_positions = self.text.num_read + self.num_frames
        if num_positions + settings.text_window >= self.max_positions:
            return "the positions that the base knows"
        while self.num_frames >= settings.count_max_frames(self.text.num_seen):
            if not self.text.wait_for_more():
                return f"max_frames_per_token {settings.max_frames_per_token}"
        return ""


@dataclass(frozen=True)
class FrameStep:
    """What one step has made; for a whole batch each has a first dimension B.

    Args:
        latent (Tensor): Scaled latent (D,).
        condition (Tensor): Hidden state that it was made under (H,).
        negative_condition (Tensor | None): The other branch's hidden state (H,); None
            without guidance.
        eos_logit (Tensor): Classifier's logit once the frame is fed, ().
    """

    latent: Tensor
    condition: Tensor
    negative_condition: Tensor | None
    eos_logit: Tensor

    def row(self, index: int) -> "FrameStep":
        """Pick one row of a batch."""
        avoided = self.negative_condition
        return FrameStep(
            latent=self.latent[index],
            condition=self.condition[index],
            negative_condition=None if avoided is None else avoided[index],
            eos_logit=self.eos_logit[index],
        )


class FrameMaker:
    """Reads windows and makes frames, one of each row at a time.

    Args:
        model (RealtimeModel): The model.
        settings (GenerationSettings): Guidance and steps.
        branches (tuple[Branch, Branch]): Positive and negative branch; changed.
    """

    def __init__(
        self,
        model: RealtimeModel,
        settings: GenerationSettings,
        branches: tuple[Branch, Branch],
    ):
        self.model = model
        self.device = model.tts_input_types.weight.device
        self.positive = branches[0]
        self.negative = branches[1] if settings.cfg_scale != 1 else None
        self.sampler = GuidedSampler(
            settings.num_sampling_steps,
            settings.cfg_scale,
            model.schedule.num_train_timesteps,
        )

    def read(self, windows: list[Tensor]) -> None:
        """Feed a window of text to each row.

        Args:
            windows (list[Tensor]): Token ids of each row, each (T,), perhaps empty.
        """
        lengths = torch.tensor([len(window) for window in windows])
        longest = int(lengths.max())
        if longest == 0:
            return
        ids = torch.nn.utils.rnn.pad_sequence(windows, batch_first=True)
        mask = None
        if int(lengths.min()) < longest:
            mask = (torch.arange(longest) < lengths[:, None]).to(self.device)
        self.positive.feed_text(self.model, ids.to(self.device), mask)

    def make(self, noise: Tensor) -> FrameStep:
        """Sample a frame of each row from noise (B, D) and feed it to the branches."""
        condition = self.positive.hidden
        avoided = None if self.negative is None else self.negative.hidden
        latent = self.sampler.sample(
            self.model.prediction_head, condition, avoided, noise.to(condition.device)
        )
        vector = self.model.acoustic_connector(latent.to(condition.dtype))[:, None]
        self.positive.feed_frame(self.model, vector)
        if self.negative is not None:
            self.negative.feed_frame(self.model, vector)
        logit = self.model.tts_eos_classifier(self.positive.hidden).float()
        return FrameStep(latent, condition, avoided, logit)

    def keep_rows(self, rows: list[int]) -> None:
        """Drop all rows but some from the branches."""
        index = torch.tensor(rows, device=self.device)
        self.positive.keep_rows(index)
        if self.negative is not None:
            self.negative.keep_rows(index)


@dataclass(frozen=True)
class Frame:
    """One frame of one utterance.

    Args:
        row (int): Index of the utterance.
        step (FrameStep): What was made.
        eos_probability (float): Probability that speech ends with this frame.
        is_end (bool): Whether speech ended with it.
        limit (str): Name of the limit that allows no further frame, else empty.
    """

    row: int
    step: FrameStep
    eos_probability: float
    is_end: bool
    limit: str


@torch.no_grad()
def run_frame_loop(
    model: RealtimeModel,
    utterances: list[Utterance],
    settings: GenerationSettings,
    branches: tuple[Branch, Branch],
    *,
    is_endless: bool = False,
) -> Iterator[list[Frame]]:
    """Make frame after frame of a batch until each row has ended.

    Args:
        model (RealtimeModel): The model.
        utterances (list[Utterance]): The rows (B,).
        settings (GenerationSettings): All settings.
        branches (tuple[Branch, Branch]): Branches of B rows; they are changed.
        is_endless (bool): Whether rows go on behind their end, until their noise or
            the caller stops.

    Yields:
        list[Frame]: The next frame of each row that has not ended.

    Raises:
        RuntimeError: If a latent is not finite.
        ValueError: If a text is empty or a prompt leaves no room.
    """
    maker = FrameMaker(model, settings, branches)
    _give_room(model, utterances, maker.positive, settings.text_window)
    rows = list(range(len(utterances)))
    count = 0
    while rows:
        if count % settings.speech_window == 0:
            maker.read(_take_windows(utterances, rows, is_first=count == 0))
        noise = [utterances[row].draw_noise(count) for row in rows]
        if any(one is None for one in noise):
            return
        step = maker.make(torch.stack(noise))
        count += 1
        _check_finite(step.latent, rows, count)
        probabilities = step.eos_logit.sigmoid().tolist()
        frames = [
            _judge(row, step.row(index), probability, utterances[row], settings)
            for index, (row, probability) in enumerate(
                zip(rows, probabilities, strict=True)
            )
        ]
        yield frames
        if not is_endless:
            kept = [i for i, f in enumerate(frames) if not (f.is_end or f.limit)]
            if 0 < len(kept) < len(rows):
                maker.keep_rows(kept)
            rows = [rows[index] for index in kept]


def _take_windows(
    utterances: list[Utterance], rows: list[int], is_first: bool
) -> list[Tensor]:
    """Take the next window of each row (T,); the first must hold a token."""
    windows = [utterances[row].text.take() for row in rows]
    empty = [row for row, window in zip(rows, windows, strict=True) if not len(window)]
    if is_first and empty:
        raise ValueError(
            f"text_ids: texts {empty[:10]} of the batch are empty, wanted at least one "
            "token. Give a text to speak."
        )
    return windows


def _give_room(
    model: RealtimeModel, utterances: list[Utterance], branch: Branch, text_window: int
) -> None:
    """Set the room that prompts leave; raise ValueError if one leaves none."""
    known = model.config.tts_language_model.max_position_embeddings
    counts = branch.count_positions()
    counts = counts * (len(utterances) // len(counts))  # nothing read yet: [0]
    if max(counts) + text_window >= known:
        raise ValueError(
            f"the voice prompt takes {max(counts)} of the base's {known} positions: no "
            "room to speak. Use a shorter prompt (25 s are plenty)."
        )
    for utterance, count in zip(utterances, counts, strict=True):
        utterance.max_positions = known - count


def _judge(
    row: int,
    step: FrameStep,
    probability: float,
    utterance: Utterance,
    settings: GenerationSettings,
) -> Frame:
    """Count a frame and tell whether the utterance ends with it."""
    utterance.num_frames += 1
    is_end = probability > settings.eos_threshold
    limit = "" if is_end else utterance.find_limit(settings)
    return Frame(row, step, probability, is_end, limit)


def _check_finite(latent: Tensor, rows: list[int], count: int) -> None:
    """Raise RuntimeError if a latent (B, D) is not finite."""
    is_finite = latent.isfinite().all(dim=1).tolist()
    for row, is_good in zip(rows, is_finite, strict=True):
        if not is_good:
            raise RuntimeError(
                f"frame {count} of row {row} of the batch is not finite: the weights "
                "are broken or the dtype is too coarse. Load the model in float32 or "
                "bfloat16, or use an earlier checkpoint."
            )
