"""Engines execute a recipe: they own the network, the optimizer and the resident data, and know no loop.

Import the engine you need from its module; importing this package loads no framework.
"""
