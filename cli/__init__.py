"""The command line: `scene`."""
