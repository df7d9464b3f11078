"""What the world is: scenes, their views, and the generative models of them (p)."""
