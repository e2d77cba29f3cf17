"""VibeVoice for ESPnet2: train, fine-tune and decode Persian voices by recipe."""

__version__ = "0.1.0"
