#!/usr/bin/env python3
"""The program of CSCI 8000, homework 1, with the name that the course requires; see examples/csci8000."""

from examples.csci8000.program import command_line, main

__all__ = ["command_line", "main"]

if __name__ == "__main__":
    main()
