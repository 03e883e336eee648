"""A network as one page for the browser: its text, its graph, its passes, its memory."""
