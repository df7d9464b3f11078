"""Images and masks: files, arrays in memory, orientation, legends and overlays."""
