"""The bytes of a small collection of the exact world, as they were when the shipped weights were trained.

The model card names its data by their hashes, so a change of a world, the writer or the layout must not
change what an old command makes.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from orrery.data.checksums import read_sums
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.provenance import hardware

LIBRARIES = {"pyarrow": "26.0.1", "av": "18.1.0", "mujoco": "4.0.0", "mujoco-warp": "4.0.0"}
"""What the bytes depend on besides this program."""
PROCESSOR, INSTRUCTIONS = "amd-epyc", "AVX512"
NUM_EVENTS = [3, 17, 12]
GOLDEN = {
    "data/chunk-000/file-000.parquet": "b1e6b27664990cce21c777989ce019caaabb5e42d5691f78baef01d3024c129f",
    "meta/episodes/chunk-000/file-000.parquet": (
        "0764f3b9e8292fa8c3e360779e25c4fac8c783399c5ef704b1035c462babcb03"
    ),
    "meta/events/chunk-000/file-000.parquet": (
        "a0752435dab89132d2952d51e1d170e46d14ed6ad899ca289734bcd895484195"
    ),
    "meta/info.json": "ee3f02859d8306a8b7f2dbfedac86d938f655f082b0a8e319037cceb54b0f940",
    "meta/stats.json": "426d01d83bcfd5a42d3f6b1138f935a9a5fc31fa32bcee4d7c5b95c473c2a50b",
    "meta/tasks.parquet": "b64e7c2bccf00d91c0d9f131621a9b08029903ccc416470d50f99752d7ae1862",
    "videos/observation.images.main/chunk-000/file-000.mp4": (
        "d9106e477f9235bd3ca42d397c9ff49739c93bac8c39bdd1f6749e658fc736a5"
    ),
}


@pytest.mark.slow
def test_tabletop_is_what_the_shipped_weights_were_trained_on(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    collect("tabletop", tmp_path / "d", 3, seed=5, seconds=1.0, image_size=32, progress=False)
    dataset = Dataset(tmp_path / "d")
    assert [len(dataset.events(i)) for i in range(3)] == NUM_EVENTS
    other = {name: version(name) for name, known in LIBRARIES.items() if version(name) != known}
    instructions = torch.backends.cpu.get_cpu_capability()
    if not hardware().startswith(PROCESSOR) or instructions != INSTRUCTIONS:  # last bits differ
        other["processor"] = f"{hardware()} with {instructions}"
    if other:
        pytest.skip(
            f"other bytes here: {other} where the hashes are of {LIBRARIES} on {PROCESSOR} "
            f"with {INSTRUCTIONS}"
        )
    assert read_sums(tmp_path / "d") == GOLDEN
