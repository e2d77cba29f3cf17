"""The loop of multi-speaker generation: tokens of control, and frames among them.

At each step the language model chooses one of four tokens. A frame's token runs the
diffusion head, and what is read next is the frame: its latent, and the semantic
features of its sound. The end of a segment clears the codecs' past; the start of one
lets the negative branch, which sees nothing but frames, begin again. All rows of a
batch step together; a row that has ended drops out. A row always ends: see
`ScriptRow.find_limit`.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from espnet_vibevoice.models.codec_stream import DecoderStream, EncoderStream
from espnet_vibevoice.models.diffusion import GuidedSampler
from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.reading import Reading
from espnet_vibevoice.models.script_row import ScriptFrame, ScriptRow, ScriptStep


class ScriptReader:
    """The language model with its codecs on a batch of scripts.

    Args:
        model (MultispeakerModel): The model; nothing of it changes.
        prompts (list[Tensor]): Vectors of each row's prompt (T, H); the last is the
            start of speech.
        settings (ScriptSettings): Guidance and steps.
    """

    def __init__(
        self,
        model: MultispeakerModel,
        prompts: list[Tensor],
        settings: ScriptSettings,
    ):
        self.model = model
        self.device = prompts[0].device
        self.tokens = model.get_tokens()
        self.allowed = torch.tensor(self.tokens.allowed, device=self.device)
        self.sampler = GuidedSampler(
            settings.num_sampling_steps,
            settings.cfg_scale,
            model.schedule.num_train_timesteps,
        )
        self.decoder = DecoderStream(model.acoustic_tokenizer.decoder, len(prompts))
        self.encoder = EncoderStream(model.semantic_tokenizer.encoder, len(prompts))
        self.positive = Reading()
        self.negative = Reading() if settings.cfg_scale != 1 else None
        # What each row has read last, and its negative branch reads before a frame.
        self.latest = torch.stack([prompt[-1:] for prompt in prompts])  # (B, 1, H)
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        vectors = nn.utils.rnn.pad_sequence(prompts, batch_first=True)  # (B, T, H)
        mask = None
        if int(lengths.min()) < vectors.shape[1]:
            mask = torch.arange(vectors.shape[1]) < lengths[:, None]
            mask = mask.to(self.device)
        self.positive.feed(model.language_model, vectors, mask)

    def score(self) -> Tensor:
        """Score the four allowed tokens as the next of each row (B, 4), float32."""
        return self.model.compute_control_logits(self.positive.hidden)

    def open_segments(self, rows: list[int]) -> None:
        """Let the negative branch of some rows begin again."""
        if self.negative is not None:
            self.negative.forget(self._mark(rows))

    def close_segments(self, rows: list[int]) -> None:
        """Clear the codecs' past of some rows."""
        index = torch.tensor(rows, device=self.device)
        self.decoder.past.clear(index)
        self.encoder.past.clear(index)

    def make_frames(self, rows: list[int], noise: Tensor) -> ScriptFrame:
        """Make the next frame of some rows.

        Args:
            rows (list[int]): Their indices, N.
            noise (Tensor): Noise (N, D).

        Returns:
            ScriptFrame: N frames.
        """
        model = self.model
        is_whole = len(rows) == len(self.latest)
        index = None if is_whole else torch.tensor(rows, device=self.device)
        avoided = None
        if self.negative is not None:
            mask = None if is_whole else self._mark(rows)[:, None]
            self.negative.feed(model.language_model, self.latest, mask)
            avoided = _pick(self.negative.hidden, index)
        condition = _pick(self.positive.hidden, index)
        latent = self.sampler.sample(
            model.prediction_head, condition, avoided, noise.to(self.device)
        )
        unscaled = model.unscale_latents(latent)[:, None]  # (N, 1, D)
        waveform = self.decoder.decode(unscaled, index)
        features = self.encoder.encode(waveform, index)[:, 0]
        return ScriptFrame(latent, condition, avoided, waveform, features)

    def note(
        self, tokens: list[int], rows: list[int], made: ScriptFrame | None
    ) -> None:
        """Say what is to be read next: frames where there are some, else the tokens.

        Args:
            tokens (list[int]): Token of each row, B.
            rows (list[int]): Rows of the frames, N.
            made (ScriptFrame | None): The frames; None if N is 0.
        """
        ids = torch.tensor(tokens, device=self.device)
        self.latest = self.model.embed_text(ids)[:, None]  # (B, 1, H)
        if made is not None:
            heard = self.model.embed_frames(made.latent, made.semantic_features)
            self.latest[rows, 0] = heard.to(self.latest.dtype)

    def advance(self) -> None:
        """Read what was noted."""
        self.positive.feed(self.model.language_model, self.latest)

    def keep_rows(self, rows: list[int]) -> None:
        """Drop all rows but some."""
        index = torch.tensor(rows, device=self.device)
        self.positive.keep_rows(index)
        if self.negative is not None:
            self.negative.keep_rows(index)
        self.decoder.past.keep_rows(index)
        self.encoder.past.keep_rows(index)
        self.latest = self.latest[index]

    def _mark(self, rows: list[int]) -> Tensor:
        """Mark some rows by True (B,)."""
        mask = torch.zeros(len(self.latest), dtype=torch.bool)
        mask[rows] = True
        return mask.to(self.device)


@torch.no_grad()
def run_script_loop(
    model: MultispeakerModel, scripts: list[ScriptRow], settings: ScriptSettings
) -> Iterator[list[ScriptStep]]:
    """Take step after step with a batch until each row has ended.

    Args:
        model (MultispeakerModel): The model.
        scripts (list[ScriptRow]): The rows (B,), each with room for a frame.
        settings (ScriptSettings): All settings.

    Yields:
        list[ScriptStep]: The next step of each row that has not ended.

    Raises:
        RuntimeError: If a score or a latent is not finite.
    """
    reader = ScriptReader(model, [script.prompt for script in scripts], settings)
    active = list(range(len(scripts)))
    while active:
        steps = _choose(reader, scripts, active, settings)
        framed = [i for i, step in enumerate(steps) if step.has_frame]
        made = None
        if framed:
            rows = [scripts[active[index]] for index in framed]
            noise = torch.stack([row.draw_noise(row.num_frames - 1) for row in rows])
            made = reader.make_frames(framed, noise)
            _check_finite(made.latent, "latent", [active[index] for index in framed])
            for number, index in enumerate(framed):
                steps[index] = replace(steps[index], frame=made.row(number))
        yield steps
        reader.note([step.token for step in steps], framed, made)
        kept = [i for i, step in enumerate(steps) if not (step.is_end or step.limit)]
        if 0 < len(kept) < len(active):
            reader.keep_rows(kept)
        active = [active[index] for index in kept]
        if active:
            reader.advance()


def _choose(
    reader: ScriptReader,
    scripts: list[ScriptRow],
    active: list[int],
    settings: ScriptSettings,
) -> list[ScriptStep]:
    """Choose the next token of each active row; its frame is yet to be made."""
    tokens = reader.tokens
    scores = reader.score()
    _check_finite(scores, "score", active)
    chosen = reader.allowed[scores.argmax(1)].tolist()
    steps = []
    for index, (row, token) in enumerate(zip(active, chosen, strict=True)):
        script, is_frame = scripts[row], token == tokens.speech_diffusion
        is_end = token == tokens.end_of_text
        if settings.ends_with_segment:
            is_end = is_end or token == tokens.speech_end
        limit = "" if is_end else script.find_limit(is_frame)
        if not limit:
            script.count(is_frame)
        has_frame = is_frame and not limit
        steps.append(ScriptStep(row, token, scores[index], has_frame, is_end, limit))
    opened = [i for i, token in enumerate(chosen) if token == tokens.speech_start]
    closed = [i for i, token in enumerate(chosen) if token == tokens.speech_end]
    if opened:
        reader.open_segments(opened)
    if closed:
        reader.close_segments(closed)
    return steps


def _pick(vectors: Tensor, rows: Tensor | None) -> Tensor:
    return vectors if rows is None else vectors[rows]


def _check_finite(values: Tensor, name: str, rows: list[int]) -> None:
    """Raise RuntimeError if the values of a row (N, ...) are not finite."""
    is_finite = values.isfinite().all(dim=1).tolist()
    bad = [row for row, is_good in zip(rows, is_finite, strict=True) if not is_good]
    if bad:
        raise RuntimeError(
            f"a {name} of rows {bad[:10]} of the batch is not finite: the weights are "
            "broken or the dtype is too coarse. Load the model in float32 or bfloat16, "
            "or use an earlier checkpoint."
        )
