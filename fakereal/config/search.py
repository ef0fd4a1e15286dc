"""Keys of fakereal.tune that say how trials are chosen, and nothing of what one of them trains."""

SEARCH_KEYS = ("study", "storage", "n_trials", "timeout", "n_jobs", "sampler", "pruner", "search")
