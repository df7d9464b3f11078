"""Weak supervision: from image-level labels to segmentations."""
