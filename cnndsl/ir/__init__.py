"""The intermediate representation: dimensions, tensor types, operators, weights, the graph."""
