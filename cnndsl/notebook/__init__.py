"""What notebooks show of a network, a module, a measurement: HTML, and the same as text."""
