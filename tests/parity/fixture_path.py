"""Make a drawn model take a given path of generation, and see that it does so steadily.

The output rows of the four ids that generation chooses from are bent until greedy
search takes the path. A model whose output rounding alone would change is of no use.
"""

import math
from dataclasses import replace

import torch
from fixture_weights import EMBEDDING
from multispeaker_settings import MultispeakerSettings
from reference_generation import generate
from reference_model import ReferenceModel
from reference_parts import Tensors
from torch import Tensor

MARGIN = 2.0  # by which the wanted token beats the other three
MAX_ROUNDS = 20
MAX_STEPS, STEP_SIZE = 200, 0.03


def shape_path(
    model: ReferenceModel,
    inputs: Tensors,
    settings: MultispeakerSettings,
    path: list[int],
) -> ReferenceModel | None:
    """Bend the output rows of the four allowed ids until greedy search takes a path.

    Rows are fitted to a path whose frames stand still, then the frames are made anew:
    they depend on the rows if these are tied to the embeddings.

    Args:
        model (ReferenceModel): The model.
        inputs (Tensors): Inputs of generation.
        settings (MultispeakerSettings): Ids.
        path (list[int]): Tokens to be chosen.

    Returns:
        ReferenceModel | None: The model with other rows; None if none are found.
    """
    for _ in range(MAX_ROUNDS):
        made = generate(model, inputs, settings, forced_tokens=path)
        scores = made["gen.token_scores_start_end_diffusion_eos"]  # (T, 4)
        if float(measure_margins(scores, path, settings).min()) > MARGIN:
            return model
        ids = torch.cat([inputs["gen.input_ids"][0], torch.tensor(path)])
        model = fit_rows(model, ids, made["gen.inputs"], path, settings)
    return None


def measure_rounding(
    model: ReferenceModel,
    inputs: Tensors,
    settings: MultispeakerSettings,
    path: list[int],
) -> float:
    """Measure how far generation in float64 is from that in float32.

    Args:
        model (ReferenceModel): The model.
        inputs (Tensors): Inputs of generation.
        settings (MultispeakerSettings): Ids, guidance, steps.
        path (list[int]): Tokens of the output.

    Returns:
        float: Largest difference of a latent or a semantic feature.
    """
    coarse = generate(model, inputs, settings, forced_tokens=path)
    fine_model = replace(model, weights=_to_double(model.weights))
    fine = generate(fine_model, _to_double(inputs), settings, forced_tokens=path)
    names = "gen.latents", "gen.semantic"
    return max(float((coarse[name] - fine[name]).abs().max()) for name in names)


def _to_double(tensors: Tensors) -> Tensors:
    """Turn floats into float64."""
    return {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def fit_rows(
    model: ReferenceModel,
    ids: Tensor,
    vectors: Tensor,
    path: list[int],
    settings: MultispeakerSettings,
) -> ReferenceModel:
    """Fit the output rows of the four allowed ids in one pass over a path.

    Args:
        model (ReferenceModel): The model.
        ids (Tensor): Ids of prompt and path (T_seq,).
        vectors (Tensor): Vectors of the same positions (T_seq, H); those of frames
            are taken as they are.
        path (list[int]): Tokens to be chosen.
        settings (MultispeakerSettings): Ids.

    Returns:
        ReferenceModel: The model with other rows.
    """
    name = "lm_head.weight" if "lm_head.weight" in model.weights else EMBEDDING
    allowed = torch.tensor(settings.allowed_ids)
    is_frame = (ids == settings.speech_diffusion_id)[:, None]
    with torch.enable_grad():
        rows = model.weights[name][allowed].clone().requires_grad_()
        optimizer = torch.optim.Adam([rows], lr=STEP_SIZE)
        for _ in range(MAX_STEPS):
            table = model.weights[name].index_copy(0, allowed, rows)
            bent = replace(model, weights=model.weights | {name: table})
            embeds = torch.where(is_frame, vectors, bent.embed(ids))
            hidden = bent.run_backbone(embeds[None])[0, -len(path) - 1 : -1]
            margins = measure_margins(hidden @ rows.T, path, settings)
            loss = (2 * MARGIN - margins).clamp(min=0).sum()
            if float(loss.detach()) == 0:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    table = model.weights[name].index_copy(0, allowed, rows.detach())
    return replace(model, weights=model.weights | {name: table})


def measure_margins(
    scores: Tensor, path: list[int], settings: MultispeakerSettings
) -> Tensor:
    """Measure by how much each token of a path beats the other allowed ones.

    Args:
        scores (Tensor): Scores of the allowed ids (T, 4).
        path (list[int]): Tokens to be chosen, T of them.
        settings (MultispeakerSettings): Ids.

    Returns:
        Tensor: Margins (T,); below 0 another one is chosen.
    """
    wanted = torch.tensor([settings.allowed_ids.index(token) for token in path])
    others = scores.scatter(1, wanted[:, None], -math.inf).amax(1)
    return scores.gather(1, wanted[:, None])[:, 0] - others
