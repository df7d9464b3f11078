"""Datasets of scenes: synthetic ones, and folders of images with labels."""
