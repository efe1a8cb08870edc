"""Boxes become masks: two-stage annotation from COCO's JSON to COCO's JSON."""
