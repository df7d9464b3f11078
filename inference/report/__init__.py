"""Reports: all that is known of a run, or of several, as one page for a browser."""
