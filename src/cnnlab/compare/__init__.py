"""Statistics of several runs: pure functions over seeds and test examples, without torch."""
