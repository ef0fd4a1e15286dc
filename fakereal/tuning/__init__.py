"""Search of settings with Optuna: the space, the study that workers share, its trials, and their pruning."""
