"""Runs: a saved config in a folder becomes checkpoints, results and their provenance there."""
