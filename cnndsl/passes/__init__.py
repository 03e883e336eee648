"""Rewrites of a graph: one file for each, listed in order in pipeline.py."""
