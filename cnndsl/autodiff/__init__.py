"""Reverse-mode differentiation: graphs that compute the gradients of other graphs."""
