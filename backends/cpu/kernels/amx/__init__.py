"""Convolutions and fully connected layers of several samples by the tiles of Intel's AMX."""
