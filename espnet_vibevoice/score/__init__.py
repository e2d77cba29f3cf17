"""Measures and pictures of decoded speech."""
