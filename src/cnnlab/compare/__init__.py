"""Statistics of several runs: pure functions on arrays of seeds and test examples, without torch."""
