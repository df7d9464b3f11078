"""Prediction: any view from any others, sampled, refined and scored."""
