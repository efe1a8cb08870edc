"""One command from a paper's row to ours beside it: cost, data check, training, test, table."""
