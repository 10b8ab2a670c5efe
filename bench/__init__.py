"""Benchmarks of cnnlab; not part of the package. From the repository root: `python -m bench.train_speed`."""
