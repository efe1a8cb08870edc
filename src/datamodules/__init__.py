"""Data: files and procedures become a `Batch`."""
