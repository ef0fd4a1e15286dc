"""Figures of labels and probabilities, with their intervals, and what is fitted to them: statistics alone."""
