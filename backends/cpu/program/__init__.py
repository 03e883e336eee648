"""From a graph to calls of kernels in order, in memory."""
