"""The zoo: published networks and standard blocks as `.cnn` files."""
