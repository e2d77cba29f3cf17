import pytest
import torch

from espnet_vibevoice.models.generation import (
    GenerationSettings,
    generate,
    generate_frames,
)
from espnet_vibevoice.models.sequence import build_layout, gather_positions

TEXT = torch.tensor([3, 1, 4, 1, 5, 9, 2])


def set_eos_bias(model, bias):
    with torch.no_grad():
        model.tts_eos_classifier.fc2.bias.fill_(bias)


@pytest.mark.parametrize("text_window,speech_window", [(5, 6), (2, 3)])
def test_generate_frames_equals_teacher_forcing(tiny_model, text_window, speech_window):
    settings = GenerationSettings(text_window=text_window, speech_window=speech_window)
    noise = torch.randn(16, 4)
    steps = list(generate_frames(tiny_model, TEXT, settings, noise=noise))
    latents = torch.stack([step.latent for step in steps])[None]
    negative = torch.tensor([[tiny_model.negative_prompt_id]])
    for text, name in [(TEXT[None], "condition"), (negative, "negative_condition")]:
        layout = build_layout(
            torch.tensor([text.shape[1]]),
            torch.tensor([16]),
            text_window,
            speech_window,
        )
        with torch.no_grad():
            hidden = tiny_model.run_sequence(
                tiny_model.embed_text(text), latents, layout
            )
            conditions = gather_positions(hidden, layout.condition_positions)[0]
            at_frames = gather_positions(hidden, layout.speech_positions)[0]
            logits = tiny_model.tts_eos_classifier(at_frames)
        stepwise = torch.stack([getattr(step, name) for step in steps])
        assert torch.allclose(stepwise, conditions, atol=1e-5)
        if name == "condition":
            stepwise = torch.stack([step.eos_logit for step in steps])
            assert torch.allclose(stepwise, logits, atol=1e-5)


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
