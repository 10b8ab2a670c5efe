"""Small shared words: errors and exit codes, derived randomness, durations, safe files. Imports nothing of ours."""
