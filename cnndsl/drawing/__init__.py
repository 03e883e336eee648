"""Pictures of networks: blocks as boxes, laid out one by one, as SVG or DOT."""
