"""Training loops: a network, its losses and its optimizer as LightningModules."""
