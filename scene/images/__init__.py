"""Images on disk: read whatever people have, written whole or not at all."""
