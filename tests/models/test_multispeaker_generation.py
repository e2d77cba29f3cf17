import gc

import pytest
import torch

from espnet_vibevoice.models.multispeaker_generation import (
    ScriptSettings,
    generate_script,
    generate_scripts,
)
from espnet_vibevoice.models.multispeaker_streaming import stream_script
from espnet_vibevoice.models.script_loop import run_script_loop
from espnet_vibevoice.models.script_prompt import ScriptPrompt, make_row

START, END, FRAME, STOP = 258, 259, 260, 256  # of the tiny base
SETTINGS = ScriptSettings(num_sampling_steps=2, max_frames=12, max_control_tokens=5)


@pytest.fixture
def multispeaker_original(multispeaker_original):
    """Score tokens by weights of their own; norms of one channel blow rounding up."""
    multispeaker_original["decoder_config"]["tie_word_embeddings"] = False
    multispeaker_original["acoustic_tokenizer_config"]["decoder_n_filters"] = 4
    multispeaker_original["semantic_tokenizer_config"]["encoder_n_filters"] = 4
    return multispeaker_original


@pytest.fixture
def model(tiny_multispeaker):
    """Give a model that makes several segments and chooses every token."""
    shuffle_choices(tiny_multispeaker, 223)
    return tiny_multispeaker


def shuffle_choices(model, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(model.lm_head.weight.shape, generator=generator)
    model.lm_head.weight.data = weights
    model.lm_head.weight.data[FRAME] *= 1.5


def choose_always(model, token):
    """Make the model choose one token whatever it has read."""

    def score(hidden):
        wanted = torch.tensor(model.get_tokens().allowed) == token
        return wanted.float().expand(len(hidden), -1)

    model.compute_control_logits = score


def make_prompt(model, seed, num_text=9, num_frames=3):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 256, (num_text,), generator=generator)
    marks = torch.full((num_frames,), FRAME)
    ids = torch.cat([ids[:2], marks, ids[2:], torch.tensor([START])])
    voices = [torch.randn(num_frames, 4, generator=generator)] if num_frames else []
    return ScriptPrompt.from_ids(ids, voices, model.get_tokens())


def make_prompts(model):
    """Make prompts of unequal lengths, one without a voice."""
    sizes = [(9, 3), (14, 0), (5, 6)]
    return [make_prompt(model, row, *size) for row, size in enumerate(sizes, start=1)]


def run_steps(model, prompt, settings=SETTINGS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    row = make_row(model, prompt, settings, generator)
    return [step for (step,) in run_script_loop(model, [row], settings)]


@torch.no_grad()
def run_model(model, prompt_vectors, vectors):
    """Run the language model in one pass over what a branch has read (T, H)."""
    inputs = torch.cat([prompt_vectors, *vectors])[None]
    return model.run_sequence(inputs)[0]


def embed_step(model, step):
    if step.frame is None:
        return model.embed_text(torch.tensor([step.token]))
    frame = step.frame
    return model.embed_frames(frame.latent[None], frame.semantic_features[None])


@pytest.mark.parametrize("seed", [76, 223])
@pytest.mark.parametrize("cfg_scale", [1.0, 1.3])
def test_batch_of_unequal_prompts_equals_single_runs(model, seed, cfg_scale):
    shuffle_choices(model, seed)
    settings = ScriptSettings(
        num_sampling_steps=2, max_frames=12, max_control_tokens=5, cfg_scale=cfg_scale
    )
    prompts = make_prompts(model)
    together = generate_scripts(model, prompts, settings, [1, 2, 3])
    kinds = set(torch.cat([result.tokens for result in together]).tolist())
    assert {START, END, FRAME} <= kinds
    assert len({len(result.tokens) for result in together}) > 1
    for number, (prompt, result) in enumerate(zip(prompts, together, strict=True), 1):
        generator = torch.Generator().manual_seed(number)
        alone = generate_script(model, prompt, settings, generator)
        assert torch.equal(alone.tokens, result.tokens)
        assert alone.limit == result.limit
        assert torch.allclose(alone.latents, result.latents, atol=1e-5)
        assert torch.allclose(alone.waveform, result.waveform, atol=1e-5)
        assert len(alone.waveform) == 3200 * len(alone.latents) > 0


@torch.no_grad()
def test_conditions_are_those_of_one_pass_and_the_negative_branch_restarts(model):
    prompt = make_prompt(model, 1)
    steps = run_steps(model, prompt)
    start = make_row(model, prompt, SETTINGS).prompt
    hidden = run_model(model, start, [embed_step(model, step) for step in steps])
    heard = [start[-1:]]  # what the negative branch has read since it began
    latest = None
    num_frames = num_restarts = 0
    for index, step in enumerate(steps):
        if step.token == START:
            heard, latest = [], None
            num_restarts += 1
        if step.frame is not None:
            if latest is not None:
                heard.append(latest)
            wanted = hidden[len(start) - 1 + index]
            assert torch.allclose(step.frame.condition, wanted, atol=1e-5)
            avoided = run_model(model, heard[0], heard[1:])[-1]
            assert torch.allclose(step.frame.negative_condition, avoided, atol=1e-5)
            num_frames += 1
        latest = embed_step(model, step)
    assert num_frames == SETTINGS.max_frames and num_restarts > 0


def test_codecs_begin_again_behind_the_end_of_a_segment(model):
    segments, segment = [], []
    for step in run_steps(model, make_prompt(model, 1)):
        if step.frame is not None:
            segment.append(step.frame)
        elif step.token == END and segment:
            segments.append(segment)
            segment = []
    assert len(segments) > 1
    for frames in segments:
        latents = model.unscale_latents(torch.stack([f.latent for f in frames]))
        waveform = torch.cat([f.waveform for f in frames])
        features = torch.stack([f.semantic_features for f in frames])
        decoded = model.acoustic_tokenizer.decode(latents)
        encoded = model.semantic_tokenizer.encode(waveform)
        assert torch.allclose(waveform, decoded, atol=1e-5)
        assert torch.allclose(features, encoded, atol=1e-5)


def test_semantic_features_of_the_own_sound_change_what_follows(model):
    noise = torch.randn(12, 4)
    prompt = make_prompt(model, 1)
    before = generate_script(model, prompt, SETTINGS, noise=noise).latents
    model.semantic_connector.linear_2.weight.data *= -1
    after = generate_script(model, prompt, SETTINGS, noise=noise).latents
    assert torch.equal(before[0], after[0]) and not torch.allclose(before[1], after[1])


@pytest.mark.parametrize(
    "token,overrides,limit,num_frames",
    [
        (FRAME, {"max_frames": 7}, "max_frames 7", 7),
        (FRAME, {"max_frames_per_token": 1.5}, "max_frames_per_token 1.5", 15),
        (END, {"max_control_tokens": 4}, "max_control_tokens 4", 0),
        (START, {}, "max_control_tokens 8", 0),
        (STOP, {}, "", 0),
    ],
)
def test_speech_always_ends(model, caplog, token, overrides, limit, num_frames):
    choose_always(model, token)
    settings = ScriptSettings(num_sampling_steps=1, **overrides)
    result = generate_script(model, make_prompt(model, 1), settings)
    assert (result.limit, len(result.latents)) == (limit, num_frames)
    assert result.stopped_by_end == (token == STOP)
    assert result.waveform.shape == (3200 * num_frames,)
    assert ("did not end by itself" in caplog.text) == bool(limit)


def test_speech_ends_where_the_positions_of_the_base_do(model):
    model.config.language_model.max_position_embeddings = 20
    choose_always(model, FRAME)
    prompt = make_prompt(model, 1)
    settings = ScriptSettings(num_sampling_steps=1, max_frames_per_token=100)
    result = generate_script(model, prompt, settings)
    assert result.limit == "the 20 positions that the base knows"
    assert len(result.latents) == 20 - len(prompt.layout.ids)


def test_ends_with_segment_stops_at_the_first_end_of_a_segment(model):
    settings = ScriptSettings(
        num_sampling_steps=2, max_control_tokens=5, ends_with_segment=True
    )
    result = generate_script(
        model, make_prompt(model, 1), settings, torch.Generator().manual_seed(1)
    )
    assert result.stopped_by_end and result.tokens[-1] == END
    assert END not in result.tokens[:-1]


def test_recorded_noise_takes_the_place_of_drawing_and_ends_with_its_frames(model):
    choose_always(model, FRAME)
    generator = torch.Generator().manual_seed(5)
    noise = torch.stack([torch.randn(4, generator=generator) for _ in range(6)])
    prompt = make_prompt(model, 1)
    given = generate_script(model, prompt, SETTINGS, noise=noise)
    assert given.limit == "the 6 frames of noise" and len(given.latents) == 6
    generator.manual_seed(5)
    drawn = generate_script(model, prompt, SETTINGS, generator)
    assert torch.equal(drawn.latents[:6], given.latents)


def test_steps_guidance_and_seed_change_the_speech(model):
    choose_always(model, FRAME)
    prompt = make_prompt(model, 1)

    def speak(seed=1, **overrides):
        options = {"num_sampling_steps": 2, "max_frames": 3, **overrides}
        settings = ScriptSettings(**options)
        return generate_scripts(model, [prompt], settings, [seed])[0].latents

    first = speak()
    assert torch.equal(first, speak())
    for other in (
        speak(seed=2),
        speak(num_sampling_steps=3),
        speak(cfg_scale=2.0),
        speak(cfg_scale=1.0),
    ):
        assert not torch.allclose(first, other, atol=1e-4)


def test_stream_chunks_make_up_the_waveform_of_one_pass(model):
    prompt = make_prompt(model, 1)
    noise = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
    whole = generate_script(model, prompt, SETTINGS, noise=noise)
    chunks = list(stream_script(model, prompt, SETTINGS, noise=noise))
    assert torch.equal(torch.cat([c.waveform for c in chunks]), whole.waveform)
    latents = torch.stack([c.latent for c in chunks[:-1]])
    assert torch.allclose(latents, whole.latents, atol=1e-6)
    assert [c.is_last for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert (chunks[-1].stopped_by_end, chunks[-1].limit) == (False, whole.limit)


def count_bytes():
    """Count the bytes of all tensors that are alive."""
    gc.collect()
    alive = [item for item in gc.get_objects() if type(item) is torch.Tensor]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in alive}
    return sum(storage.nbytes() for storage in storages.values())


def test_stream_of_a_long_script_keeps_no_audio(model):
    choose_always(model, FRAME)
    settings = ScriptSettings(num_sampling_steps=1, max_frames_per_token=1000)
    chunks = stream_script(model, make_prompt(model, 1), settings)
    sizes = []
    for index in range(121):
        next(chunks)
        if index in (40, 120):
            sizes.append(count_bytes())
    growth = (sizes[1] - sizes[0]) / 80
    # Keys and values of two layers, in both branches: 2 * 2 * 2 * 8 numbers a frame.
    assert 200 <= growth <= 300
    assert growth < 3200 * 4 / 40  # what a frame's samples would take


@pytest.mark.parametrize("part", ["lm_head", "prediction_head"])
def test_values_that_are_not_finite_raise(model, part):
    if part == "prediction_head":
        choose_always(model, FRAME)
    for parameter in model.get_submodule(part).parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(RuntimeError, match=r"of rows \[0\] of the batch is not finite"):
        generate_script(model, make_prompt(model, 1), SETTINGS)


def test_generation_without_semantic_encoder_raises(model):
    model.semantic_tokenizer.encoder = None
    with pytest.raises(RuntimeError, match="no semantic encoder"):
        generate_script(model, make_prompt(model, 1), SETTINGS)


def test_prompts_that_do_not_fit_raise(model):
    good = make_prompt(model, 1)
    layout, tokens = good.layout, model.get_tokens()
    for ids, voices, message in (
        (layout.ids, [], "marks 3 frames of voices, but 0 are given"),
        (layout.ids, [torch.zeros(3, 5)], r"shape \(3, 5\), wanted finite latents"),
        (layout.ids, [torch.full((3, 4), torch.nan)], "wanted finite latents"),
        (torch.tensor([999, START]), [], "ids from 0 to 263"),
        (torch.full((1024,), START), [], "take 1024 of the base's 1024 positions"),
    ):
        with pytest.raises(ValueError, match=message):
            bad = ScriptPrompt.from_ids(ids, voices, tokens)
            generate_script(model, bad, SETTINGS)
    with pytest.raises(ValueError, match=r"noise: got shape \(3, 5\)"):
        generate_script(model, good, SETTINGS, noise=torch.zeros(3, 5))
    with pytest.raises(ValueError, match="got 1 prompts and 2 seeds"):
        generate_scripts(model, [good], SETTINGS, [1, 2])
    assert generate_scripts(model, [], SETTINGS) == []


@pytest.mark.parametrize(
    "overrides,message",
    [
        ({"max_frames": 0}, "max_frames 0: no frame"),
        ({"max_frames_per_token": 0.0}, "max_frames_per_token 0.0: wanted"),
        ({"cfg_scale": float("nan")}, "cfg_scale nan: wanted"),
        ({"max_control_tokens": 0}, "max_control_tokens 0: wanted"),
    ],
)
def test_settings_out_of_range_raise(overrides, message):
    with pytest.raises(ValueError, match=message):
        ScriptSettings(**overrides)


def test_sampling_steps_out_of_range_raise(model):
    settings = ScriptSettings(num_sampling_steps=0)
    with pytest.raises(ValueError, match="num_sampling_steps: got 0"):
        generate_script(model, make_prompt(model, 1), settings)


def test_live_view_of_an_adapter_set_speaks_scripts(model, tiny_multispeaker_base):
    from espnet_vibevoice.adapters.adapter import extract_adapter
    from espnet_vibevoice.adapters.hot_swap import AdapterSet
    from espnet_vibevoice.adapters.lora import apply_plan
    from espnet_vibevoice.adapters.strategies import build_plan
    from espnet_vibevoice.models.multispeaker import MultispeakerModel

    base = str(tiny_multispeaker_base)
    tuned = MultispeakerModel.from_base(base)
    plan = build_plan("vibevoice", strategy="lora", lora_rank=2)
    apply_plan(tuned, plan)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1
    adapter = extract_adapter(tuned, plan, base, None)
    tuned.eval()
    adapters = AdapterSet.from_base(base)
    for view in (adapters.model, tuned):
        choose_always(view, FRAME)
    prompt = make_prompt(tuned, 1)

    def speak(speaker):
        return generate_script(speaker, prompt, SETTINGS, noise=torch.ones(4, 4))

    plain = speak(adapters.model).latents
    assert adapters.load("news", adapter).effect.end_of_speech > 0
    assert torch.equal(speak(adapters.model).latents, plain)
    adapters.enable("news")
    changed = speak(adapters.model).latents
    assert torch.allclose(changed, speak(tuned).latents, atol=1e-4)
    assert (changed - plain).abs().max() > 1e-2
    adapters.disable()
    assert torch.equal(speak(adapters.model).latents, plain)
