"""Training loops: a network, its losses and its optimiser as LightningModules."""
