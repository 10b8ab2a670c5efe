"""Networks from scratch, in NumPy."""
