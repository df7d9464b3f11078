"""How a person asks: the `scene` command."""
