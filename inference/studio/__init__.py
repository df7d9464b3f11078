"""Studio: a local page over runs, on which one draws scenes and segments photographs."""
