"""Generated scenes: datasets drawn from a model, as far as they hang together."""
