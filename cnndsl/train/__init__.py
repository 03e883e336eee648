"""Training by PyTorch or native code: data, the loop, checkpoints."""
