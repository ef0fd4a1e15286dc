"""What people look at: pages of blocks, plots, tables, and what is printed."""
