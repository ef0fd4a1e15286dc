"""Jobs of a sweep: which is which, which are finished, and the table of them all."""
