"""Scores folders of maps. Nothing here imports torch, Lightning or timm."""
