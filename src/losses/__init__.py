"""Losses: criteria compare two maps, terms are called as `term(output, batch)`."""
