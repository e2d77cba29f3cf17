import pytest
import torch

from espnet_vibevoice.adapters.averaging import average_checkpoints
from espnet_vibevoice.adapters.seal import (
    BASE_FINGERPRINT,
    LORA_SEAL,
    encode_digest,
    is_seal_broken,
    seal_lora,
)

LAYERS = {"tts.model.lm.q_proj": (9, 8, 2), "tts.model.lm.v_proj": (6, 4, 3)}
FULL = "tts.model.head.weight"


def make_state(seed, size=1.0, fingerprint="ab" * 32):
    """Trained weights: those of seed 0, plus random ones of some size."""
    state = {}
    for place, scale in ((0, 1.0), (seed, size)):
        generator = torch.Generator().manual_seed(place)

        def add(name, *shape, scale=scale, generator=generator):
            value = scale * torch.randn(shape, generator=generator)
            state[name] = state.get(name, 0) + value

        for layer, (width, height, rank) in LAYERS.items():
            add(f"{layer}.lora_A.default.weight", rank, width)
            add(f"{layer}.lora_B.default.weight", height, rank)
        add(FULL, 5, 3)
    return finish(state, fingerprint)


def finish(state, fingerprint="ab" * 32):
    state[f"tts.{LORA_SEAL}"] = seal_lora(state)
    state[f"tts.{BASE_FINGERPRINT}"] = encode_digest(fingerprint)
    return state


def save(folder, states):
    paths = [folder / f"{index}epoch.pth" for index in range(1, len(states) + 1)]
    for path, state in zip(paths, states, strict=True):
        torch.save(state, path)
    return paths


def product(state, layer):
    b, a = (state[f"{layer}.lora_{kind}.default.weight"].double() for kind in "BA")
    return b @ a


def mean_product(states, layer):
    return sum(product(state, layer) for state in states) / len(states)


def share(missed, whole):
    """Relative Frobenius norm, over matrices."""
    return (
        sum(float(m.square().sum()) for m in missed)
        / sum(float(w.square().sum()) for w in whole)
    ) ** 0.5


def test_average_checkpoints_with_a_common_factor_is_the_mean_of_products(tmp_path):
    states = [make_state(seed) for seed in (1, 2, 3)]
    for state in states:
        for name in [name for name in state if "lora_A" in name]:
            state[name] = states[0][name].clone()
        finish(state)
    report = average_checkpoints(save(tmp_path, states), tmp_path / "mean.pth")
    found = torch.load(tmp_path / "mean.pth")
    assert report.residual < 1e-7 and max(report.residuals.values()) < 1e-7
    for layer in LAYERS:
        wanted = mean_product(states, layer)
        torch.testing.assert_close(product(found, layer), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "low", "high"), [(0.02, 1e-5, 0.01), (1, 0.05, 0.7)])
def test_average_checkpoints_residual_is_what_the_rank_misses(
    tmp_path, size, low, high
):
    states = [make_state(seed, size) for seed in (1, 2, 3)]
    report = average_checkpoints(save(tmp_path, states), tmp_path / "mean.pth")
    found = torch.load(tmp_path / "mean.pth")
    wanted = {layer: mean_product(states, layer) for layer in LAYERS}
    missed = {layer: product(found, layer) - wanted[layer] for layer in LAYERS}
    for layer, residual in report.residuals.items():
        alone = share([missed[layer]], [wanted[layer]])
        assert residual == pytest.approx(alone, rel=1e-2)
        rank = LAYERS[layer][2]
        lost = torch.linalg.svdvals(wanted[layer])[rank:].norm()
        assert float(missed[layer].norm()) == pytest.approx(float(lost), rel=1e-2)
    overall = share(missed.values(), wanted.values())
    assert low < report.residual < high
    assert report.residual == pytest.approx(overall, rel=1e-2)


def test_average_checkpoints_of_factors_one_by_one_is_another_model():
    states = [make_state(seed) for seed in (1, 2)]
    naive = {name: sum(s[name] for s in states) / 2 for name in states[0]}
    for layer in LAYERS:
        wanted = mean_product(states, layer)
        assert share([product(naive, layer) - wanted], [wanted]) > 0.1
    assert is_seal_broken(naive, naive[f"tts.{LORA_SEAL}"])


def test_average_checkpoints_parts_in_full_are_exact_means(tmp_path):
    states = [make_state(seed) for seed in (1, 2, 3)]
    report = average_checkpoints(save(tmp_path, states), tmp_path / "mean.pth")
    wanted = torch.stack([state[FULL].double() for state in states]).mean(dim=0)
    found = torch.load(tmp_path / "mean.pth")
    assert torch.equal(found[FULL], wanted.float())
    assert (report.num_checkpoints, report.num_weights) == (3, 1)
    assert "mean of 3 checkpoints, 1 weights exact, 2 LoRA lay" in report.describe()


def test_average_checkpoints_writes_names_shapes_and_right_marks(tmp_path):
    states = [make_state(seed) for seed in (1, 2)]
    average_checkpoints(save(tmp_path, states), tmp_path / "new" / "mean.pth")
    found = torch.load(tmp_path / "new" / "mean.pth")
    shapes = {name: (value.shape, value.dtype) for name, value in states[0].items()}
    assert {name: (v.shape, v.dtype) for name, v in found.items()} == shapes
    assert not is_seal_broken(found, found[f"tts.{LORA_SEAL}"])
    assert torch.equal(
        found[f"tts.{BASE_FINGERPRINT}"], states[0][f"tts.{BASE_FINGERPRINT}"]
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mean.pth"]


def test_average_checkpoints_of_one_is_itself_and_may_replace_it(tmp_path):
    state = make_state(1)
    (path,) = save(tmp_path, [state])
    report = average_checkpoints([path], path)
    found = torch.load(path)
    assert report.residual < 1e-7
    for layer in LAYERS:
        wanted = product(state, layer)
        torch.testing.assert_close(product(found, layer), wanted, atol=1e-5, rtol=0)


def test_average_checkpoints_of_untrained_lora_has_no_residual(tmp_path):
    state = make_state(1)
    for name in [name for name in state if "lora_B" in name]:
        state[name].zero_()
    report = average_checkpoints(
        save(tmp_path, [finish(state)] * 2), tmp_path / "x.pth"
    )
    assert report.residual == 0


def test_average_checkpoints_of_a_rank_above_the_layer_keeps_the_shapes(tmp_path):
    state = {
        "tts.model.lm.q.lora_A.default.weight": torch.randn(8, 3),
        "tts.model.lm.q.lora_B.default.weight": torch.randn(2, 8),
    }
    average_checkpoints(save(tmp_path, [finish(state)] * 2), tmp_path / "x.pth")
    found = torch.load(tmp_path / "x.pth")
    assert {name: v.shape for name, v in found.items()} == {
        name: v.shape for name, v in state.items()
    }
    layer = "tts.model.lm.q"
    wanted = product(state, layer)
    torch.testing.assert_close(product(found, layer), wanted, atol=1e-5, rtol=0)


def test_average_checkpoints_leaves_out_what_training_goes_on_from(tmp_path):
    states = [make_state(seed) for seed in (1, 2)]
    for state in states:
        state[f"tts.ema.raw.{FULL.removeprefix('tts.')}"] = state[FULL] + 1
        state["tts.ema.updates"] = torch.tensor(4)
    average_checkpoints(save(tmp_path, states), tmp_path / "x.pth")
    assert set(torch.load(tmp_path / "x.pth")) == set(make_state(1))


def break_seal(state):
    state["tts.model.lm.q_proj.lora_A.default.weight"][0, 0] += 1


def drop_seal(state):
    del state[f"tts.{LORA_SEAL}"]


def add_dora(state):
    state["tts.model.lm.q_proj.lora_magnitude_vector.default.weight"] = torch.ones(8)
    finish(state)


def change_base(state):
    finish(state, "cd" * 32)


def drop_weight(state):
    del state[FULL]


def change_shape(state):
    state[FULL] = torch.ones(3, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_seal, "2epoch.pth: its LoRA factors are not those .*Nepoch.pth"),
        (drop_seal, "2epoch.pth: its LoRA factors are not those"),
        (add_dora, r"2epoch.pth: DoRA was trained.* best checkpoint \(\*.best.pth\)"),
        (change_base, f"different bases, {'cd' * 32} and {'ab' * 32}. Give"),
        (drop_weight, f"cannot be averaged: only one has {FULL}. Give"),
        (change_shape, rf"{FULL} has shape \(3, 5\) and \(5, 3\)"),
    ],
)
def test_average_checkpoints_that_do_not_belong_together_raises(
    tmp_path, change, message
):
    states = [make_state(seed) for seed in (1, 2)]
    change(states[1])
    with pytest.raises(ValueError, match=message):
        average_checkpoints(save(tmp_path, states), tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()


def test_average_checkpoints_with_different_scaling_raises(tmp_path):
    paths = []
    for alpha in (16, 32):
        folder = tmp_path / str(alpha)
        folder.mkdir()
        text = f"tts_conf: {{lora_alpha: {alpha}, max_frames: {alpha}}}\n"
        (folder / "config.yaml").write_text(text)
        paths += save(folder, [make_state(alpha)])
    with pytest.raises(
        ValueError, match=r"different settings of LoRA.*'lora_alpha': 3"
    ):
        average_checkpoints(paths, tmp_path / "x.pth")


def test_average_checkpoints_without_paths_raises(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint to average: give at least"):
        average_checkpoints([], tmp_path / "x.pth")


def test_average_checkpoints_absent_or_foreign_files_raise(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.pth: no such checkpoint"):
        average_checkpoints([tmp_path / "absent.pth"], tmp_path / "x.pth")
    torch.save({"model": make_state(1), "reporter": {}}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="holds more than weights, as checkpoint.pth"):
        average_checkpoints([tmp_path / "checkpoint.pth"], tmp_path / "x.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="text.pth: cannot be read as a checkpoint"):
        average_checkpoints([tmp_path / "text.pth"], tmp_path / "x.pth")
