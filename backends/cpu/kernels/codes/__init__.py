"""Kernels on 8-bit codes, whose scales and zero points are packed weights."""
