"""Keys that say how and where a job runs, not what is trained: jobs and runs that differ in them alone are the same."""

from fakereal.config.search import SEARCH_KEYS

ELSEWHERE = ("hydra", "sweep", "seeds", "ckpt_path", "threads", "logger", "published", *SEARCH_KEYS)
ELSEWHERE_WITHIN = {"data": ("cache_dir", "mirror"), "trainer": ("enable_progress_bar", "profiler")}
