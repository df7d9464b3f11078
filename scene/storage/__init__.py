"""Files and folders: atomic writes, locks, outputs, and the user's folders."""
