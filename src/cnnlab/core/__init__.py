"""Shared basics: errors, random generators, durations, files, tables. Imports no other part of cnnlab."""
