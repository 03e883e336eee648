"""What backends that generate code share: the graph in a simple form, packed weights, the file."""

SUFFIX = ".cnnmod"
"""The ending of the artefacts."""
