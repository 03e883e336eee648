"""Architecture edits: a network's source rewritten so that it is another, cheaper network."""
