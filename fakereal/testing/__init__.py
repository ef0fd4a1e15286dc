"""One look at a test split: which images, clean or corrupted, what is answered, and the figures of that."""
