"""Runs: folders that training writes, and how they are claimed, read, restored and trusted."""
