"""Numba kernels: arrays in, caller-owned arrays out. They see numpy and numba only."""
