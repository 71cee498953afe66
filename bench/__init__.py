"""Comparisons of HTTP clients, each in a process of its own, every answer checked. See README.md."""
