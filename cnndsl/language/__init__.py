"""From source text to graph: syntax, checks, evaluation, elaboration, formatting."""
