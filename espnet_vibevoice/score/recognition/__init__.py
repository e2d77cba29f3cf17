"""Recognisers that read synthesized speech back: ESPnet models and Whisper."""
