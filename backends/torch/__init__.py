"""PyTorch: a network as a readable module, for training and as a target."""

from cnndsl.backends.torch.backend import BACKEND

__all__ = ["BACKEND"]
