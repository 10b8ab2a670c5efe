"""Assemble a recipe and run it: the only place where the training loop meets an engine."""
