"""The report: from many runs to one page that says which is best, and whether that is noise."""
