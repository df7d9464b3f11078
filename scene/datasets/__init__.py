"""Where scenes come from: generated ones, and folders of images with labels."""
