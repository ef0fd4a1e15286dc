"""Where a classifier looks: maps of its evidence, and pictures that show them."""
