"""Annotations of labelling tools: COCO, CVAT, Label Studio and labelme, read and written."""
