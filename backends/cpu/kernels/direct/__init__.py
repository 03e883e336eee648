"""Direct convolution and fully connected layers, by register tiles."""
