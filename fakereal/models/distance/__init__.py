"""How far images lie from those of training (out-of-distribution detection).

What is kept of these, the measure, and counts and words of it.
"""
