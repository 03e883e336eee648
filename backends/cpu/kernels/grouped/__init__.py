"""Convolutions in groups of whole vectors, depthwise ones among them."""
