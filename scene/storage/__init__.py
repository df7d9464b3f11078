"""Files and folders: written whole, locked, and found where a user keeps them."""
