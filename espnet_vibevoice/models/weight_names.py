"""Names of weights: ours, inside a model, and the original's, in its files.

They are translated in one direction only (ours to the original's), so reading and
writing cannot disagree.
"""

import re

# Ours to the original's, tried in order, each on the result of the one before.
_RENAMES = [
    (r"^(?!tts_eos_classifier\.|lm_head\.)", "model."),
    (r"(\.(?:acoustic|semantic)_connector)\.linear_(\d)\.", r"\1.fc\2."),
    (r"(\.(?:acoustic|semantic)_connector)\.act\.", r"\1.norm."),
    (r"(\.prediction_head)\.timestep_proj\.fc1\.", r"\1.t_embedder.mlp.0."),
    (r"(\.prediction_head)\.timestep_proj\.fc2\.", r"\1.t_embedder.mlp.2."),
    (r"(\.prediction_head\.layers\.\d+)\.linear\.", r"\1.adaLN_modulation.1."),
    (r"(\.final_layer)\.linear_1\.", r"\1.adaLN_modulation.1."),
    (r"(\.final_layer)\.linear_2\.", r"\1.linear."),
    (r"(\.(?:en|de)coder)\.stem\.stage\.", r"\1.stages.0."),
    (r"(\.encoder)\.stem\.conv\.", r"\1.downsample_layers.0.0.conv."),
    (r"(\.decoder)\.stem\.conv\.", r"\1.upsample_layers.0.0.conv."),
    (r"(\.encoder)\.conv_layers\.(\d+)\.conv\.", r"\1.downsample_layers.+\2.0.conv."),
    (r"(\.decoder)\.conv_layers\.(\d+)\.convtr\.", r"\1.upsample_layers.+\2.0.convtr."),
    (r"(\.(?:en|de)coder)\.conv_layers\.(\d+)\.stage\.", r"\1.stages.+\2."),
    (r"\.mixer\.conv\.", ".mixer.conv.conv.conv."),
    (r"(\.(?:en|de)coder\.head)\.conv\.", r"\1.conv.conv."),
]
# The original's back to ours, inside a part other than the codec. Each result is
# translated forward and compared, so the two lists cannot disagree.
_RENAMES_BACK = [
    (r"^fc(\d)\.", r"linear_\1."),
    (r"^norm\.", "act."),
    (r"^t_embedder\.mlp\.0\.", "timestep_proj.fc1."),
    (r"^t_embedder\.mlp\.2\.", "timestep_proj.fc2."),
    (r"^(layers\.\d+)\.adaLN_modulation\.1\.", r"\1.linear."),
    (r"^final_layer\.linear\.", "final_layer.linear_2."),
    (r"^final_layer\.adaLN_modulation\.1\.", "final_layer.linear_1."),
]


def original_name(name: str) -> str:
    """Name of a weight in the original files.

    Args:
        name (str): Name in ``RealtimeModel.state_dict()``.

    Example:
        >>> original_name("acoustic_connector.linear_1.bias")
        'model.acoustic_connector.fc1.bias'
    """
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    # "+i": our layer i is the original's i + 1, because its stem is layer 0.
    return re.sub(r"\+(\d+)", lambda match: str(int(match[1]) + 1), name)


def original_name_in(part: str, name: str) -> str:
    """Name of a weight inside its part, as the original has it.

    Args:
        part (str): Part, such as ``prediction_head``.
        name (str): Our name inside the part.

    Example:
        >>> original_name_in("prediction_head", "layers.0.linear.weight")
        'layers.0.adaLN_modulation.1.weight'
    """
    start = original_name(f"{part}.x").removesuffix("x")
    return original_name(f"{part}.{name}").removeprefix(start)


def our_name_in(part: str, name: str) -> str:
    """Our name of a weight inside its part: undoes `original_name_in`.

    Args:
        part (str): Part other than the codec.
        name (str): The original's name inside the part.

    Raises:
        ValueError: If no weight of ours has that name in the original.
    """
    ours = name
    if part.endswith("_connector") or part == "prediction_head":
        for pattern, replacement in _RENAMES_BACK:
            ours = re.sub(pattern, replacement, ours)
    if original_name_in(part, ours) != name:
        raise ValueError(
            f"{part}: {name} is no name of a weight in the original format. Write "
            "the names as the original checkpoint has them."
        )
    return ours
