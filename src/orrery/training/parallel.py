"""Data-parallel training: several processes, each with batches of its own, take the same step.

On two CPU cores, two processes of one thread each do 1.9 times the work of one, where two threads of one
process do 1.4 times: the networks are small, and so are the pieces that threads would share.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from typing import TypeVar

import torch
from torch import Tensor, distributed
from torch.nn import Parameter

from orrery.errors import UserError

__all__ = ["average_gradients", "num_processes", "rank", "rank_zero_first", "together"]

TIMEOUT = timedelta(hours=24)
"""How long the others wait for rank 0, which encodes whole data sets meanwhile."""
JOIN_SECONDS = 10.0

T = TypeVar("T")


def together(num: int, work: Callable[..., T], *arguments: object) -> T:
    """Run `work(*arguments)` in this process and in `num - 1` others, and return what it returned here.

    This one is rank 0: what it raises is raised, and the others end with it. `work` and its arguments are
    sent to the others, so they must be what pickle takes: a function of a module, plain values.
    """
    if num == 1:
        return work(*arguments)
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        address = f"file://{folder}/rendezvous"
        others = [
            context.Process(target=_run_rank, args=(address, other_rank, num, work, arguments), daemon=True)
            for other_rank in range(1, num)
        ]
        for other in others:
            other.start()
        try:
            _join(address, 0, num)
            result = work(*arguments)
            for other in others:
                other.join(JOIN_SECONDS)
            return result
        finally:
            for other in others:
                other.terminate()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _run_rank(
    address: str, own_rank: int, num: int, work: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 ends the others
    _join(address, own_rank, num)
    try:
        work(*arguments)
    except UserError:
        sys.exit(1)  # rank 0 meets the same mistake, and says so once


def _join(address: str, own_rank: int, num: int) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // num))
    distributed.init_process_group(
        "gloo", init_method=address, rank=own_rank, world_size=num, timeout=TIMEOUT
    )


def num_processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Rank 0 runs the block before the others do: what it leaves on disk they find done."""
    if rank() > 0:
        distributed.barrier()
    yield
    if rank() == 0 and num_processes() > 1:
        distributed.barrier()


@torch.no_grad()
def average_gradients(parameters: Iterable[Parameter], seconds: float) -> float:
    """Replace every gradient by its mean over the processes, and return the mean of `seconds`.

    The same parameters must have gradients everywhere: all processes take the same kind of batch.
    """
    if num_processes() == 1:
        return seconds
    gradients = [p.grad for p in parameters if p.grad is not None]
    everything = [*(g.flatten() for g in gradients), torch.tensor([seconds], device=gradients[0].device)]
    flat = torch.cat(everything)
    distributed.all_reduce(flat)
    flat /= num_processes()
    means: Iterable[Tensor] = flat[:-1].split([g.numel() for g in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
    return float(flat[-1])
