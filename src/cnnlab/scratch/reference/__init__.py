"""What each layer computes, written as its formula: to read, and for tests to compare faster code with."""
