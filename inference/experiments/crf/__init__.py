"""Experiments on the dense CRF: measured on a dataset, fitted, ablated."""
