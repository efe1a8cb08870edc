"""Networks: `nn.Module` only, logits out, one paper per file."""
