"""Networks, the LightningModule around them, their checkpoints, and several that answer together."""
