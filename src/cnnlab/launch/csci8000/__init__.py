"""CSCI 8000, homework 1: the steps of `CNNclassify.py`, put together from the library."""
