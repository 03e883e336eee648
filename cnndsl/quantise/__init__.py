"""Graphs in other number formats: calibration, 8-bit codes, 16-bit floating point."""
