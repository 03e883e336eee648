"""How well networks tell classes apart, on labelled images."""
