"""From image files to answers: which files, their pixels in batches, and what is written about them."""
