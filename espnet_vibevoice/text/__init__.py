"""Text: tokenizer loading; the Persian front end."""
