"""Convolutions in groups that share vectors or are whole ones, depthwise ones among them."""
