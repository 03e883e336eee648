"""What an editor asks about a text of the language, and the server that answers."""
