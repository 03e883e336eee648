"""Statistics of groups of elements, and functions of single elements and these."""
