"""The networks, their sequences, losses and checkpoints; no ESPnet import."""
