"""What happens beside the training loop: checkpoints, tables, galleries, provenance."""
