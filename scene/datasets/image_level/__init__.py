"""Image-level labels as people have them: a folder per class, tables, and COCO's JSON."""
