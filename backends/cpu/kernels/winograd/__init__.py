"""Winograd convolution: fewer products, on transformed tiles."""
