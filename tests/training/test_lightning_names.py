"""Names of Lightning's own that this package relies on: an update that renames one would go unnoticed."""

import inspect

from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector


def test_what_is_replaced_or_called_is_there():
    # LastCheckpoint answers signals in its place, and takes what it writes.
    assert callable(_TrainingEpochLoop._broadcast_sigterm_tensor) and callable(_CheckpointConnector.dump_checkpoint)
    # Classifier keeps it past torch's look at each attribute.
    assert "pl_module._current_fx_name = hook_name" in inspect.getsource(call._call_lightning_module_hook)
    # `skip_idle_hooks` sets hooks to None, which are then not called.
    assert "if callable(fn)" in inspect.getsource(call._call_callback_hooks)
