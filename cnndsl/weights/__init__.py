"""Parameter arrays: files in and out, names, initialisers, weight expressions."""
