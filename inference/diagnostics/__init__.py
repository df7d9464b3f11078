"""Diagnostics of a trained model and its posteriors: numbers and figures of a run."""
