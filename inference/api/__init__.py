"""The public interface: train or load a model, and hold what was fitted in one object."""
