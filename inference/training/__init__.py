"""Training: from data, model, guide and objective to a finished run."""
