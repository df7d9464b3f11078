"""Experiments: many trainings compared, searched, or put to use."""
