"""Time, memory and errors of compiled modules: what `bench` and `compare` stand on."""
