from espnet_vibevoice.score.curve import ValidationCurve

ROWS = [
    {"step": 0, "train_loss": float("nan"), "valid_loss": 2.0, "valid_prior": 0.1},
    {"step": 5, "train_loss": 1.5, "valid_loss": 1.0, "valid_prior": 0.2},
]


def test_curve_is_drawn_after_each_validation(tmp_path):
    curve = ValidationCurve(tmp_path)
    curve(ROWS[:1])
    first = (tmp_path / "validation.png").read_bytes()
    curve(ROWS)
    second = (tmp_path / "validation.png").read_bytes()
    assert first.startswith(b"\x89PNG") and second.startswith(b"\x89PNG")
    assert first != second
    assert len(list((tmp_path / "tensorboard").glob("events*"))) == 1
    assert not list(tmp_path.glob(".*"))
