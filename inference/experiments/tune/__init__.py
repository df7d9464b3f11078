"""Tuning: settings searched for, each trial a run scored where settings are chosen."""
