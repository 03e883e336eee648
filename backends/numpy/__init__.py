"""The reference backend: plain numpy, the oracle of every other backend."""
