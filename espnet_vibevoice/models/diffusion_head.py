"""The diffusion head of transformers, made to run in half precision.

Timesteps go up to 999, and bfloat16 knows no odd integer above 256: rounded timesteps
would be wrong noise levels. So timesteps and their sinusoid stay float32, and only the
finished embedding is brought to the type of the weights.
"""

from torch import Tensor
from transformers.models.vibevoice.modeling_vibevoice import VibeVoiceDiffusionHead


class DiffusionHead(VibeVoiceDiffusionHead):
    """Predicts the velocity of noisy latents."""

    def forward(
        self, noisy_images: Tensor, timesteps: Tensor, condition: Tensor
    ) -> Tensor:
        """Predict.

        Args:
            noisy_images (Tensor): Noisy latents (N, D); the name is transformers'.
            timesteps (Tensor): Timesteps, float32 whatever the weights are (N,).
            condition (Tensor): Hidden states (N, H).

        Returns:
            Tensor: Velocities in the type of the weights (N, D).
        """
        assert timesteps.is_floating_point() and timesteps.itemsize >= 4, timesteps
        weight = self.noisy_images_proj.weight
        hidden = self.noisy_images_proj(noisy_images.to(weight.dtype))
        embedded = self.timestep_embedding(timesteps).to(weight.dtype)
        condition = self.cond_proj(condition.to(weight.dtype))
        condition = condition + self.timestep_proj(embedded)
        for layer in self.layers:
            hidden = layer(hidden, condition)
        return self.final_layer(hidden, condition)
