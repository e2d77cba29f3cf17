"""From texts and voices to audio files or a stream, with a model of either family."""
