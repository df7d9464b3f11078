"""Folders of images with labels: layouts, lists, reading and writing."""
