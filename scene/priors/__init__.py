"""Priors of z, p(z): one class a file, and what all of them share."""
