"""Text to syntax tree: the grammar's tables, line breaks, the tree, errors in words."""
