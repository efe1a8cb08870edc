"""`finecut benchmark`: a model in every engine and precision of this machine, in one table."""
