"""The same collection on a Ray cluster: the same bytes, also when a machine dies half-way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip(
    "ray", reason="Ray is 285 MB and not in the dev extra; pip install 'orrery[cluster]'"
)
from ray.cluster_utils import Cluster  # noqa: E402

from orrery.data.record import execution  # noqa: E402
from orrery.data.record.collect import collect  # noqa: E402
from orrery.data.record.execution import Outcome  # noqa: E402
from orrery.errors import UserError  # noqa: E402

FilesOf = Callable[[Path], dict[str, bytes]]
NUM_EPISODES = 16
SMALL: dict[str, Any] = {"seconds": 4.0, "image_size": 64, "progress": False}

pytestmark = pytest.mark.slow


def test_a_machine_that_dies_loses_nothing_and_nothing_comes_twice(
    tmp_path: Path, files_of: FilesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("dummy", tmp_path / "straight", NUM_EPISODES, **SMALL)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        received, seen = execution._received, []

        def killing(*arguments: Any) -> Outcome:
            outcome = received(*arguments)
            seen.append(outcome.number)
            if len(seen) == 3:
                cluster.remove_node(second, allow_graceful=False)
            return outcome

        monkeypatch.setattr(execution, "_received", killing)
        report = collect("dummy", tmp_path / "d", NUM_EPISODES, cluster=cluster.address, **SMALL)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert sorted(seen) == list(range(NUM_EPISODES))
    assert (report.num_episodes, report.num_new, report.dropped) == (NUM_EPISODES, NUM_EPISODES, {})
    assert files_of(tmp_path / "d") == files_of(tmp_path / "straight")


def test_no_cluster_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Ray cluster at '127\.0\.0\.1:1' fails"):
        collect("dummy", tmp_path / "d", 1, cluster="127.0.0.1:1", **SMALL)
