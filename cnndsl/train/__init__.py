"""Training by PyTorch: recipes, data, the loop, checkpoints."""
