"""How far images lie from those of training: what is kept of these, the measure, and counts and words of it."""
