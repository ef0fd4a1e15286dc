"""Says what to lower when memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fakereal.config.errors import UserError


@contextmanager
def explained_out_of_memory(batch_size: int, image_size: int | None) -> Iterator[None]:
    """Turns any device's out-of-memory error into a UserError that names the two keys to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = str(error).lower()
        # torch's CPU allocator raises a plain RuntimeError
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or (
            "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
        ):
            size = image_size or "that of the images"
            sizes = f"data.batch_size (now {batch_size}) or model.image_size (now {size})"
            raise UserError(f"Out of memory: lower {sizes}. ({str(error).splitlines()[0]})") from error
        raise
