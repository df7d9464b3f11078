"""Tuning: settings searched for, each candidate a run that is scored where settings are chosen."""
