"""Sharing of trained models: model cards, and the Hugging Face Hub."""
