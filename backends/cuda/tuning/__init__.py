"""Which of several kernels is the fastest here."""
