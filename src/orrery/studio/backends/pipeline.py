"""A diffusers pipeline from its weights: found, checked against a backend, run, stopped."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from orrery.errors import BadUse, UserError
from orrery.studio.backends.backend import Backend
from orrery.studio.backends.request import Film, Request
from orrery.studio.backends.table import backend_of, backend_of_pipeline

__all__ = ["MEMORY", "DiffusersPipeline", "check_memory", "find_backend"]

INDEX = "model_index.json"
LOADING_FAILS = (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError)
MEMORY = {
    "whole": "all of the model stays on the GPU, or in memory where there is none",
    "offload": "each part is on the GPU while it works (model offload), and pictures are decoded in tiles",
    "least": "layer by layer (sequential offload), slow, and pictures are decoded in tiles",
}


def find_backend(weights: str, name: str | None) -> Backend:
    """Which backend runs the weights in a folder or of a hub id, by what they say of themselves, without
    loading them. name: which it is to be. UserError for weights that are not there, BadUse for others than
    asked for."""
    asked = None if name is None else backend_of(name)
    pipeline = _class_name(weights)
    if asked is not None and pipeline not in (asked.pipeline, *asked.loads):
        raise BadUse(f"{weights} is a {pipeline}, and --backend {name} runs a {asked.pipeline}")
    return backend_of_pipeline(pipeline, weights)


def _class_name(weights: str) -> str:
    """The pipeline's class, as the weights' index says."""
    folder = Path(weights)
    if folder.exists():
        index = folder / INDEX
        if not index.is_file():
            raise UserError(f"{weights}: is no diffusers pipeline, for it has no {INDEX}")
    elif weights.count("/") != 1 or weights.startswith((".", "/", "~")):
        raise UserError(
            f"{weights}: there is no such folder; give one with weights in diffusers' form, or a hub id"
        )
    else:
        index = _from_hub(weights)
    try:
        name = json.loads(index.read_text("utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{index}: cannot be read as a pipeline's index") from error
    return str(name)


def _from_hub(weights: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(weights, INDEX))
    except (OSError, ValueError, RuntimeError) as error:  # not there, not allowed, no network, no such name
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{weights}: is no folder here, and cannot be had from the Hugging Face Hub ({reason})"
        ) from error


def _unloadable(weights: str, error: Exception) -> UserError:
    return UserError(f"{weights}: cannot be loaded ({' '.join(str(error).split())[:300]})")


def check_memory(memory: str) -> bool:
    """Whether there is a GPU. BadUse for a key of MEMORY that the machine has no use for."""
    import torch

    on_gpu = torch.cuda.is_available()
    if memory != "whole" and not on_gpu:
        raise BadUse(f"--memory {memory}: is for a GPU, and there is none; leave it out")
    return on_gpu


class DiffusersPipeline:
    """Weights in memory. weights: a folder or a hub id. memory: key of MEMORY. lora: more weights, a file,
    a folder or a hub id. UserError where they cannot be loaded, BadUse for a memory option that the machine
    has no use for. Only safetensors are loaded."""

    def __init__(
        self, weights: str, backend: Backend, memory: str = "whole", lora: str | None = None
    ) -> None:
        import diffusers
        import torch

        on_gpu = check_memory(memory)
        self.backend = backend
        kind: Any = getattr(diffusers, backend.pipeline)
        local = Path(weights).exists()
        try:
            self._pipeline = kind.from_pretrained(
                weights, dtype=torch.bfloat16 if on_gpu else torch.float32, use_safetensors=True,
                local_files_only=local,
            )  # fmt: skip
        except LOADING_FAILS as error:
            raise _unloadable(weights, error) from error
        if lora is not None:
            try:
                self._pipeline.load_lora_weights(lora, use_safetensors=True)
            except LOADING_FAILS as error:
                raise _unloadable(lora, error) from error
        self._pipeline.set_progress_bar_config(disable=True)
        self._place(memory, on_gpu)

    def _place(self, memory: str, on_gpu: bool) -> None:
        pipeline = self._pipeline
        if memory == "whole":
            pipeline.to("cuda" if on_gpu else "cpu")
            return
        pipeline.vae.enable_tiling()
        if memory == "offload":
            pipeline.enable_model_cpu_offload()
        else:
            pipeline.enable_sequential_cpu_offload()

    @property
    def default_steps(self) -> int:
        """The pipeline's own number of denoising steps."""
        return int(inspect.signature(self._pipeline.__call__).parameters["num_inference_steps"].default)

    def make(self, request: Request, on_step: Callable[[], None] = lambda: None) -> Film:
        """What the model makes at once. on_step: called after each denoising step; what it raises ends the
        work. The same request gives the same film on the same machine. UserError where what comes out is no
        picture."""
        import torch

        self.backend.check(request)

        def after_step(pipeline: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step()
            return tensors

        chosen = {"num_inference_steps": request.steps, "guidance_scale": request.guidance}
        output = self._pipeline(
            **self.backend.arguments(request),
            **{name: value for name, value in chosen.items() if value is not None},
            generator=torch.Generator("cpu").manual_seed(request.seed),
            output_type="np",
            callback_on_step_end=after_step,
        )
        frames = np.asarray(output.frames[0])
        if not np.isfinite(frames).all():
            raise UserError(
                f"{self.backend.name} made no pictures but values that are no numbers; try another seed"
            )
        return Film(np.rint(255.0 * np.clip(frames, 0.0, 1.0)).astype(np.uint8), request.frames_per_second)
