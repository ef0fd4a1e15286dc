"""Train, sweep and test classifiers that tell real images from AI-generated ones."""

__version__ = "0.1.0"

# The index of a class is its label. FAKE is the positive class: the one logit is the log-odds of FAKE.
CLASSES = ("REAL", "FAKE")
