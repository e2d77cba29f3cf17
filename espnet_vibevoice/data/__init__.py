"""Kaldi data directories, audio and latents on disk."""
