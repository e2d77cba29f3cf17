"""Latents of the statistics stage in the place of the audio that ESPnet names."""

import argparse
from pathlib import Path


def use_dumped_latents(args: argparse.Namespace, mode: str) -> None:
    """Train on the latents that the statistics stage wrote, not on audio.

    ESPnet's stage driver names the audio for training and the shape files of its
    statistics stage; the latents lie beside the latter. Shapes that count tokens
    times vocabulary are replaced by those that count tokens, so that bins are
    positions of the language model.

    Args:
        args (Namespace): Changed in place.
        mode (str): ``train`` or ``valid``.

    Raises:
        FileNotFoundError: If audio is named and there are no latents.
        ValueError: If the data are split.
    """
    data_key = f"{mode}_data_path_and_name_and_type"
    shape_key = f"{mode}_shape_file"
    shape_files = [Path(path) for path in getattr(args, shape_key)]
    data = []
    for path, name, kind in getattr(args, data_key):
        # audio in an archive is of kind kaldi_ark, as our own dumped latents are
        if name == "speech" and (kind == "sound" or Path(path).name == "wav.scp"):
            path, kind = find_dumped_latents(shape_files, path), "npy"
        data.append((path, name, kind))
    setattr(args, data_key, data)
    setattr(args, shape_key, [str(plain_shape_file(path)) for path in shape_files])


def find_dumped_latents(shape_files: list[Path], audio: str) -> str:
    """Return the latents' scp beside one of the shape files."""
    if Path(audio).is_dir():
        raise ValueError(
            f"training on {audio}: with --num_splits the latents of the statistics "
            "stage cannot take the audio's place: give --num_splits 1"
        )
    wanted = [path.parent / "collect_feats" / "feats.scp" for path in shape_files]
    for scp in wanted:
        if scp.is_file():
            return str(scp)
    places = ", ".join(sorted({str(scp) for scp in wanted})) or "any statistics folder"
    raise FileNotFoundError(
        f"training on {audio} needs its latents, but there are none in {places}: "
        "rerun the statistics stage with --write_collected_feats true"
    )


def plain_shape_file(path: Path) -> Path:
    """Return ``text_shape`` for ``text_shape.<token type>`` where both exist."""
    plain = path.with_name("text_shape")
    is_tagged = path.name.startswith("text_shape.")
    return plain if is_tagged and plain.is_file() else path
