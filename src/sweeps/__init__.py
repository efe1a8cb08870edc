"""Sweeps: many runs of one command, each in a process and folder of its own, and searches."""
