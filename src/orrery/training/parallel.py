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
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.nn import Parameter

from orrery.errors import BadUse, UserError

__all__ = [
    "average_gradients", "check_device", "from_rank_zero", "joined", "num_processes", "own_device", "rank",
    "rank_zero_first", "together",
]  # fmt: skip

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
    if distributed.is_initialized():
        raise BadUse("torchrun has started the processes already; leave --processes out")
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
        _backend(), init_method=address, rank=own_rank, world_size=num, timeout=TIMEOUT
    )


def _backend() -> str:
    """What carries tensors of the CPU, and of CUDA devices where there are some."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that `torchrun` has started this one with, if it has."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        yield
        return
    distributed.init_process_group(_backend(), timeout=TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def check_device(name: str, num: int) -> None:
    """BadUse for a device that nothing here runs on, UserError for one that is not there for `num` processes.

    name: `cpu`, `cuda` (one device a process) or `cuda:0`.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadUse(f"--device {name}: no device is called that; it is cpu, cuda or cuda:0") from error
    if device.type not in ("cpu", "cuda"):
        raise BadUse(f"--device {name}: training runs on cpu, cuda or cuda:0")
    if device.type == "cpu":
        return
    if not torch.cuda.is_available():
        raise UserError(
            f"--device {name}: torch {torch.__version__} finds no CUDA device; install NVIDIA's driver and a "
            "CUDA build of torch (https://pytorch.org/get-started), or leave --device out"
        )
    there = torch.cuda.device_count()
    if device.index is not None and num > 1:
        raise BadUse(f"--device {name}: is one device for {num} processes; say cuda, for one each")
    if (num if device.index is None else device.index + 1) > there:
        raise UserError(f"--device {name}: there are {there} CUDA devices, for {num} process(es)")


def own_device(name: str) -> torch.device:
    """The device of this process: of `cuda`, the one of its number on this machine. See `check_device`."""
    own_number = int(os.environ.get("LOCAL_RANK", rank()))
    check_device(name, int(os.environ.get("LOCAL_WORLD_SIZE", num_processes())))
    device = torch.device(name)
    if device.type != "cuda":
        return device
    device = torch.device("cuda", own_number if device.index is None else device.index)
    torch.cuda.set_device(device)
    return device


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
        _wait_for_all()
    yield
    if rank() == 0 and num_processes() > 1:
        _wait_for_all()


def _wait_for_all() -> None:
    """A barrier on the CPU: that of a CUDA device would keep it busy."""
    distributed.all_reduce(torch.zeros(1))


def from_rank_zero(make: Callable[[], T]) -> T:
    """What rank 0 makes, in all processes; the others wait for it."""
    if num_processes() == 1:
        return make()
    made: list[Any] = [make() if rank() == 0 else None]
    distributed.broadcast_object_list(made, device=torch.device("cpu"))
    return made[0]


@torch.no_grad()
def average_gradients(parameters: Iterable[Parameter], seconds: float) -> float:
    """Replace every gradient by its mean over the processes, and return the mean of `seconds`.

    A parameter without a gradient in some of them counts as one of zero there: what a process drew may not
    have asked for all streams. One without a gradient anywhere stays so.
    """
    if num_processes() == 1:
        return seconds
    kept = list(parameters)
    has = torch.tensor([float(p.grad is not None) for p in kept] + [seconds], device=kept[0].device)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in kept]
    flat = torch.cat([*(part.flatten() for part in parts), has])
    distributed.all_reduce(flat)
    flat /= num_processes()
    means = flat[: -len(has)].split([p.numel() for p in kept])
    for parameter, mean, anywhere in zip(kept, means, flat[-len(has) : -1].tolist(), strict=True):
        if anywhere:
            parameter.grad = mean.view_as(parameter).to(parameter.dtype).clone()
    return float(flat[-1])
