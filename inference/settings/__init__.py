"""Settings: every choice a run is made from, as plain data, without torch."""
