"""Folders of images with labels: their layouts, lists and masks, read and written."""
