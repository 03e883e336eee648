"""What can be said about a network without running it: cost, structure, receptive field."""
