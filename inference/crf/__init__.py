"""The fully connected CRF: marginals in which similar pixels agree."""
