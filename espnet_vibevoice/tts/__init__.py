"""ESPnet faces of the models: AbsTTS classes, feature extractors, task."""
