"""What a training needs to know where several processes share it (torch.distributed); alone, it is the first.

Files are written by the first process alone; the others wait until they are there.
"""

from __future__ import annotations

import torch.distributed as group

from kiban.errors import SettingsError


def processes() -> int:
    return group.get_world_size() if group.is_initialized() else 1


def first() -> bool:
    return not group.is_initialized() or group.get_rank() == 0


def wait() -> None:
    """Return when all have come as far as this."""
    if group.is_initialized():
        group.barrier()


def share(batch: int) -> int:
    """Return how much of a batch is one process's part. Raises SettingsError where it does not come out even:
    steps would be of another size than alone, and so would the result."""
    if batch % processes():
        raise SettingsError(f"A batch of {batch} is no multiple of {processes()} processes.")
    return batch // processes()
