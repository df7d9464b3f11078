"""Runs: the folder that training writes, claimed, read back and trusted."""
