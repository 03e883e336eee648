"""Compiled modules: how they are called, the backends that make them, files on disk."""
