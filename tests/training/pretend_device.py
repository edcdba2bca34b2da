"""A device that exists everywhere: tensors of the CPU that were moved to `cpu:0`, which no other may meet.

As on an accelerator, tensors get there by `.to(...)` or by being made there, what is computed from them stays
there, a tensor of one place and one of the other do not go together (unless that is a single number), and
numpy sees none of them until they are moved back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["PRETENDED", "PretendDevice"]

PRETENDED = torch.device("cpu", 0)
HERE = torch.device("cpu")
SET_DATA = Tensor.data.__set__  # pyright: ignore[reportAttributeAccessIssue]
MOVES = {Tensor.copy_, SET_DATA, torch._has_compatible_shallow_copy_type}  # pyright: ignore[reportPrivateImportUsage]
TO_NUMPY = {Tensor.numpy, Tensor.__array__}
INDEXING = {Tensor.__getitem__, Tensor.__setitem__}
"""An index may be on the CPU."""


class PretendDevice(TorchFunctionMode):
    """While it is entered, `cpu:0` is a device of its own. moved: how many tensors were brought there."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0

    def __enter__(self) -> PretendDevice:
        torch.Tensor._make_subclass = staticmethod(parameter_of)  # pyright: ignore[reportAttributeAccessIssue]
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        del torch.Tensor._make_subclass  # what it inherits is there again

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == Tensor.device.__get__:  # pyright: ignore[reportAttributeAccessIssue]
            return PRETENDED if is_there(args[0]) else HERE
        if func in (Tensor.to, Tensor.cpu):
            return self._moved(func, args, kwargs)
        met = list(tensors((args, kwargs)))
        if func in TO_NUMPY and any(map(is_there, met)):
            raise TypeError("a tensor of the device was given to numpy; move it back first")
        if func not in MOVES | INDEXING:
            check_together(func, met)
        result = func(*args, **kwargs)
        there = any(map(is_there, met)) or kwargs.get("device") == PRETENDED
        if func == SET_DATA:
            mark(args[:1], is_there(args[1]))
        elif there and func not in MOVES:
            mark(tensors(result), True)
        return result

    def _moved(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        tensor, *rest = args
        asked = [a for a in (*rest, *kwargs.values()) if isinstance(a, torch.device | str | Tensor)]
        if func is Tensor.cpu:
            asked = [HERE]
        there = is_there(tensor)
        if asked:
            there = (
                is_there(asked[0]) if isinstance(asked[0], Tensor) else torch.device(asked[0]) == PRETENDED
            )
        result = func(*args, **kwargs)
        if there != is_there(tensor):
            result = result.clone(memory_format=torch.preserve_format)  # another place is another memory
            self.moved += there
        mark([result], there)
        return result


def is_there(tensor: Tensor) -> bool:
    return getattr(tensor, "_is_on_the_pretended_device", False)


def mark(several: Iterable[Tensor], there: bool) -> None:
    for tensor in several:
        tensor._is_on_the_pretended_device = there  # pyright: ignore[reportAttributeAccessIssue]


def parameter_of(cls: type[Tensor], data: Tensor, requires_grad: bool = False) -> Tensor:
    """What `nn.Parameter` calls, of which modes are not told: a parameter is where its data are."""
    made = torch._C.TensorBase._make_subclass(cls, data, requires_grad)
    mark([made], is_there(data))
    return made


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested values."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)


def check_together(func: Any, met: list[Tensor]) -> None:
    """RuntimeError where tensors of both places meet, as an accelerator says it."""
    if any(map(is_there, met)) and any(not is_there(t) and t.ndim > 0 for t in met):
        name = getattr(func, "__name__", func)
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cpu:0 and cpu")
