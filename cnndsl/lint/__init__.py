"""All findings about a file, and lints: what is legal and often unwise."""
