"""Networks as files that other engines run: written, opened and run, below commands and models."""
