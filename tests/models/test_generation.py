import logging

import pytest
import torch

from espnet_vibevoice.models.branch import start_batch, start_branches
from espnet_vibevoice.models.frame_loop import run_frame_loop
from espnet_vibevoice.models.generation import (
    GenerationSettings,
    generate,
    generate_batch,
    generate_frames,
    make_utterance,
)
from espnet_vibevoice.models.sequence import build_layout, gather_positions
from espnet_vibevoice.models.voice_prompt import build_voice_prompt

TEXT = torch.tensor([3, 1, 4, 1, 5, 9, 2])
TEXTS = [TEXT, TEXT[:1], torch.arange(16), torch.tensor([8, 8, 3, 0])]
PROMPT_TEXT = torch.tensor([11, 12, 13])


@pytest.fixture
def original(original):
    """Widen the decoder: norms of one channel would blow rounding up."""
    original["acoustic_tokenizer_config"]["decoder_n_filters"] = 4
    return original


def set_eos_bias(model, bias):
    with torch.no_grad():
        model.tts_eos_classifier.fc2.bias.fill_(bias)


def make_prompt_latents(num_frames=5):
    return torch.randn(num_frames, 4, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def prompt(tiny_model):
    return build_voice_prompt(tiny_model, make_prompt_latents(), PROMPT_TEXT)


@torch.no_grad()
def force_teacher(model, text, latents, settings, prompt_text, prompt_latents):
    """Run one row in one pass; return conditions and end-of-speech logits."""
    layout = build_layout(
        torch.tensor([len(text)]),
        torch.tensor([len(latents)]),
        settings.text_window,
        settings.speech_window,
        prompt_text_lengths=torch.tensor([len(prompt_text)]),
        prompt_latents_lengths=torch.tensor([len(prompt_latents)]),
    )
    text_hidden = model.embed_text(torch.cat([prompt_text, text])[None])
    speech = torch.cat([model.scale_latents(prompt_latents), latents])[None]
    hidden = model.run_sequence(text_hidden, speech, layout)
    conditions = gather_positions(hidden, layout.condition_positions)
    at_frames = gather_positions(hidden, layout.speech_positions)
    logits = model.tts_eos_classifier(at_frames)
    start = len(prompt_latents)
    return conditions[0, start:], logits[0, start:]


@pytest.mark.parametrize("windows", [(5, 6), (2, 3), (1, 1), (7, 2)])
@pytest.mark.parametrize("prompted", [(), (0, 1, 2, 3), (1, 2)])
@pytest.mark.parametrize("batch", [1, 4])
def test_generation_has_the_conditions_of_teacher_forcing(
    tiny_model, windows, prompted, batch
):
    set_eos_bias(tiny_model, -100.0)
    settings = GenerationSettings(
        text_window=windows[0], speech_window=windows[1], max_frames_per_token=1.5
    )
    nothing = (PROMPT_TEXT[:0], make_prompt_latents()[:0])
    voices = [
        (PROMPT_TEXT, make_prompt_latents(4 + row)) if row in prompted else nothing
        for row in range(batch)
    ]
    prompts = [
        build_voice_prompt(tiny_model, latents, ids) if len(ids) else None
        for ids, latents in voices
    ]
    rows = [make_utterance(tiny_model, [text], settings) for text in TEXTS[:batch]]
    steps = [[] for _ in rows]
    branches = start_batch(tiny_model, prompts)
    for frames in run_frame_loop(tiny_model, rows, settings, branches):
        for frame in frames:
            steps[frame.row].append(frame.step)
    negative = torch.tensor([tiny_model.negative_prompt_id])
    for text, voice, made in zip(TEXTS, voices, steps, strict=False):
        latents = torch.stack([step.latent for step in made])
        wanted, logits = force_teacher(tiny_model, text, latents, settings, *voice)
        avoided, _ = force_teacher(tiny_model, negative, latents, settings, *nothing)
        assert len(made) == settings.count_max_frames(len(text))
        for name, value in (
            ("condition", wanted),
            ("negative_condition", avoided),
            ("eos_logit", logits),
        ):
            stepwise = torch.stack([getattr(step, name) for step in made])
            assert torch.allclose(stepwise, value, atol=1e-5), name


def test_generate_frames_goes_on_behind_the_end(tiny_model):
    set_eos_bias(tiny_model, 100.0)
    settings = GenerationSettings(max_frames=2)
    steps = list(generate_frames(tiny_model, TEXT, settings, noise=torch.randn(9, 4)))
    assert len(steps) == 9
    assert steps[0].latent.shape == (4,) and steps[0].condition.shape == (16,)


def test_generate_never_ending_speech_stops_by_cap(tiny_model):
    set_eos_bias(tiny_model, -100.0)
    settings = GenerationSettings(max_frames_per_token=1.5)
    result = generate(tiny_model, TEXT, settings)
    assert not result.stopped_by_eos
    assert result.latents.shape == (11, 4)  # ceil(1.5 * 7)
    assert result.waveform.shape == (11 * 3200,)
    assert result.eos_probability.shape == (11,)


def test_generate_max_frames_goes_before_text_cap(tiny_model):
    set_eos_bias(tiny_model, -100.0)
    result = generate(tiny_model, TEXT, GenerationSettings(max_frames=3))
    assert len(result.latents) == 3


def test_generate_end_of_speech_keeps_its_frame(tiny_model):
    set_eos_bias(tiny_model, 100.0)
    result = generate(tiny_model, TEXT, GenerationSettings())
    assert result.stopped_by_eos
    assert len(result.latents) == 1


def test_generate_same_seed_same_audio(tiny_model):
    settings = GenerationSettings(max_frames=4, eos_threshold=1.0)
    waveforms = [
        generate(
            tiny_model, TEXT, settings, torch.Generator().manual_seed(seed)
        ).waveform
        for seed in (1, 1, 2)
    ]
    assert torch.equal(waveforms[0], waveforms[1])
    assert not torch.equal(waveforms[0], waveforms[2])


def test_generate_empty_text_raises(tiny_model):
    with pytest.raises(ValueError, match="at least one token"):
        generate(tiny_model, torch.tensor([], dtype=torch.long), GenerationSettings())


def test_generate_without_frames_raises(tiny_model):
    with pytest.raises(ValueError, match="max_frames 0"):
        generate(tiny_model, TEXT, GenerationSettings(max_frames=0))


def find_threshold(model, settings, prompts):
    """Choose a threshold that ends the rows at different frames."""
    results = generate_batch(model, TEXTS, settings, [5, 6, 7, 8], prompts)
    return float(torch.cat([r.eos_probability for r in results]).quantile(0.9))


@pytest.mark.parametrize("prompted", [(), (0, 3)])
def test_generate_batch_equals_single_runs(tiny_model, prompt, prompted):
    prompts = [prompt if row in prompted else None for row in range(4)]
    endless = GenerationSettings(eos_threshold=1.0, max_frames_per_token=2.0)
    threshold = find_threshold(tiny_model, endless, prompts)
    settings = GenerationSettings(eos_threshold=threshold, max_frames_per_token=2.0)
    together = generate_batch(tiny_model, TEXTS, settings, [5, 6, 7, 8], prompts)
    for row, result in enumerate(together):
        generator = torch.Generator().manual_seed(5 + row)
        branches = start_branches(tiny_model, prompts[row])
        alone = generate(tiny_model, TEXTS[row], settings, generator, branches=branches)
        assert result.latents.shape == alone.latents.shape
        assert torch.allclose(result.latents, alone.latents, atol=1e-5)
        assert torch.allclose(result.waveform, alone.waveform, atol=1e-5)
        assert torch.allclose(result.eos_probability, alone.eos_probability, atol=1e-5)
        assert result.stopped_by_eos == alone.stopped_by_eos
        assert result.tokens_read == alone.tokens_read
    assert len({len(result.latents) for result in together}) > 1
    assert any(result.stopped_by_eos for result in together)


def test_generate_batch_row_does_not_depend_on_its_neighbours(tiny_model):
    settings = GenerationSettings(max_frames=8, eos_threshold=1.0)
    first = generate_batch(tiny_model, [TEXT, TEXT[:2]], settings, [1, 2])[0]
    second = generate_batch(tiny_model, [TEXT, torch.arange(20)], settings, [1, 3])[0]
    assert torch.allclose(first.waveform, second.waveform, atol=1e-5)


def test_generate_batch_without_seeds_follows_the_global_generator(tiny_model):
    settings = GenerationSettings(max_frames=3, eos_threshold=1.0)
    waveforms = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        waveforms.append(generate_batch(tiny_model, [TEXT], settings)[0].waveform)
    assert torch.equal(waveforms[0], waveforms[1])
    assert not torch.equal(waveforms[0], waveforms[2])


def test_generate_batch_of_nothing_gives_nothing(tiny_model):
    assert generate_batch(tiny_model, [], GenerationSettings()) == []


def test_generate_batch_wrong_number_of_seeds_raises(tiny_model):
    with pytest.raises(ValueError, match="got 2 texts, 1 seeds and 2 prompts: give"):
        generate_batch(tiny_model, [TEXT, TEXT], GenerationSettings(), [1])


def test_generate_batch_empty_text_names_its_row(tiny_model):
    with pytest.raises(ValueError, match=r"texts \[1\] of the batch are empty"):
        generate_batch(tiny_model, [TEXT, TEXT[:0]], GenerationSettings())


def test_generate_without_guidance_equals_full_formula(tiny_model):
    noise = torch.randn(12, 4)
    plain, near = (
        list(
            generate_frames(
                tiny_model, TEXT, GenerationSettings(cfg_scale=scale), noise=noise
            )
        )
        for scale in (1.0, 1.0 + 1e-7)
    )
    assert plain[0].negative_condition is None
    assert near[0].negative_condition is not None
    for one, other in zip(plain, near, strict=True):
        assert torch.allclose(one.latent, other.latent, atol=1e-4)


def test_generate_prompt_changes_the_speech(tiny_model, prompt):
    settings = GenerationSettings(max_frames=3, eos_threshold=1.0)
    results = generate_batch(tiny_model, [TEXT, TEXT], settings, [1, 1], [prompt, None])
    assert not torch.allclose(results[0].latents, results[1].latents, atol=1e-2)


def test_generate_long_text_ends_at_the_cap_and_warns(tiny_model, caplog):
    set_eos_bias(tiny_model, -100.0)
    ten_minutes = torch.arange(3750) % 30  # 6.25 tokens per second
    settings = GenerationSettings(max_frames=30)
    with caplog.at_level(logging.WARNING):
        result = generate(tiny_model, ten_minutes, settings)
    assert len(result.latents) == 30 and result.tokens_read == 25
    assert "cut after 30 frames by max_frames 30; 25 of 3750 text tokens" in caplog.text


def test_generate_ends_where_the_positions_of_the_base_end(tiny_model, prompt, caplog):
    set_eos_bias(tiny_model, -100.0)
    tiny_model.config.tts_language_model.max_position_embeddings = 40
    branches = start_branches(tiny_model, prompt)
    with caplog.at_level(logging.WARNING):
        result = generate(
            tiny_model, torch.arange(30), GenerationSettings(), branches=branches
        )
    # 8 of the prompt, 15 tokens in three windows; one window more must fit
    assert len(result.latents) == 13 and result.tokens_read == 15
    assert "cut after 13 frames by the positions that the base knows" in caplog.text


def test_generate_prompt_without_room_raises(tiny_model, prompt):
    tiny_model.config.tts_language_model.max_position_embeddings = 12
    branches = start_branches(tiny_model, prompt)
    with pytest.raises(ValueError, match="takes 8 of the base's 12 .*shorter prompt"):
        generate(tiny_model, TEXT, GenerationSettings(), branches=branches)


def test_generate_broken_weights_raise_with_the_frame(tiny_model):
    settings = GenerationSettings(max_frames=4, eos_threshold=1.0)
    with torch.no_grad():
        next(tiny_model.prediction_head.parameters()).fill_(float("nan"))
    with pytest.raises(RuntimeError, match="frame 1 of row 0 .*not finite: .*float32"):
        generate(tiny_model, TEXT, settings)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([5, 32], r"got \[32\], the base knows 0 to 31"),
        ([-1, 5], r"got \[-1\], the base knows 0 to 31"),
        ([[5, 6]], r"got shape \(1, 2\) .*wanted \(T_text,\)"),
        ([0.5], r"float32, wanted \(T_text,\) of integers"),
    ],
)
def test_generate_wrong_ids_raise(tiny_model, ids, message):
    with pytest.raises(ValueError, match=message):
        generate(tiny_model, torch.tensor(ids), GenerationSettings())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_frames_per_token": 0.0}, "max_frames_per_token 0.0: wanted"),
        ({"eos_threshold": 1.5}, "eos_threshold 1.5: wanted a probability"),
        ({"cfg_scale": float("inf")}, "cfg_scale inf: wanted"),
        ({"text_window": 0}, "text_window 0, .*at least 1"),
    ],
)
def test_settings_out_of_range_raise(overrides, message):
    with pytest.raises(ValueError, match=message):
        GenerationSettings(**overrides)


@pytest.mark.parametrize("shape", [(0, 4), (3, 5), (4,)])
def test_generate_noise_of_other_shape_raises(tiny_model, shape):
    with pytest.raises(ValueError, match=r"noise: got shape .*wanted \(T_max, 4\)"):
        generate(tiny_model, TEXT, GenerationSettings(), noise=torch.zeros(shape))
