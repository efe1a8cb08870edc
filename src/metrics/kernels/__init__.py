"""Compiled inner loops of the metrics: no protocol, no aggregation."""
