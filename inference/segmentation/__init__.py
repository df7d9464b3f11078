"""Segmentation: class maps, cues and stages, from image-level labels to masks of photographs."""
