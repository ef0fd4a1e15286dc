"""Answers about images that people and programs send: the network's side, the limits, the page."""
