"""Kernels of convolutions, chosen by shape."""
