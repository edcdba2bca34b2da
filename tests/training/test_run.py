"""A run knows its data: by what is in their files, on a resume, and in what it has encoded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import UserError
from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.streams import StreamSpec
from orrery.training.run import RunFolder, begin_run, data_hash, is_data_of, keep_latents_of, refuse_foreign

SETTINGS = {"recipe": {"batch": 4}, "seed": 0}


def record(folder: Path, episodes: int) -> Dataset:
    collect("gym:CartPole-v1", folder, episodes, streams=["observation", "action"], progress=False)
    return Dataset(folder)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return record(tmp_path / "data", 3)


@pytest.fixture
def run(tmp_path: Path, data: Dataset) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    begin_run(made, data, SETTINGS, restart=False)
    return made


def changed(data: Dataset) -> Dataset:
    """The same episodes, of the same lengths, with one other number."""
    (file,) = (data.path / "data").rglob("*.parquet")
    groups = [pq.ParquetFile(file).read_row_group(k) for k in range(pq.ParquetFile(file).num_row_groups)]
    column = groups[0].schema.get_field_index("timestamp")
    times = groups[0]["timestamp"].to_numpy() + np.float32(1)
    groups[0] = groups[0].set_column(column, groups[0].schema.field(column), pa.array(times))
    with pq.ParquetWriter(file, groups[0].schema) as writer:
        for group in groups:
            writer.write_table(group)
    return Dataset(data.path)


def test_it_goes_on_with_the_same_data(run: RunFolder, data: Dataset) -> None:
    begin_run(run, Dataset(data.path), SETTINGS, restart=False)
    assert run.data()["hash"] == data_hash(data)
    assert run.data()["episodes"] == 3


def test_data_that_grew_are_refused_in_words(run: RunFolder, data: Dataset) -> None:
    more = record(data.path, 5)
    with pytest.raises(UserError, match=r"other data \(3 episodes when it was begun, 5 now\).*--restart"):
        begin_run(run, more, SETTINGS, restart=False)
    begin_run(run, more, SETTINGS, restart=True)
    assert run.data()["episodes"] == 5


def test_data_that_changed_are_refused_in_words(run: RunFolder, data: Dataset) -> None:
    with pytest.raises(UserError, match=r"other data \(as many episodes, but their files have changed"):
        begin_run(run, changed(data), SETTINGS, restart=False)
    begin_run(run, data, SETTINGS, restart=True)


def test_all_that_differs_is_named(run: RunFolder, data: Dataset) -> None:
    with pytest.raises(UserError, match="a run with other seed;"):
        begin_run(run, data, {**SETTINGS, "seed": 1}, restart=False)
    with pytest.raises(UserError, match=r"a run with other data \(.*\) and seed;"):
        begin_run(run, changed(data), {**SETTINGS, "seed": 1}, restart=False)


def test_a_hash_of_an_older_version_is_compared(run: RunFolder, data: Dataset) -> None:
    """It covered the description and the lengths of the episodes."""
    rows = [[index, data.num_ticks(index), data.text(index)] for index in data.readable]
    older = hashlib.sha256(json.dumps([data.info, rows], sort_keys=True).encode()).hexdigest()
    assert is_data_of(data, older)
    assert not is_data_of(data, "0" * 64)
    assert not is_data_of(data, None)
    run.settings.write_text(json.dumps({"data": older, **SETTINGS}))
    begin_run(run, data, SETTINGS, restart=False)
    with pytest.raises(UserError, match="other data"):
        begin_run(run, record(data.path, 4), SETTINGS, restart=False)


def test_what_is_encoded_is_kept_for_the_same_data_and_tokenizers(run: RunFolder) -> None:
    tokenizer = VectorTokenizer(StreamSpec("state", "vector", "observed", (2,), "float32"))
    kept = run.latents("training") / "state.npy"

    def encoded() -> bool:
        there = kept.exists()
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
        return there

    keep_latents_of(run, {"state": tokenizer})
    assert not encoded()
    keep_latents_of(run, {"state": tokenizer})
    assert encoded()
    tokenizer.fit([torch.rand(10, 2)])
    keep_latents_of(run, {"state": tokenizer})
    assert not encoded()
    settings = json.loads(run.settings.read_text())
    settings["data"]["hash"] = "files:other"
    run.settings.write_text(json.dumps(settings))
    keep_latents_of(run, {"state": tokenizer})
    assert not encoded()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    refuse_foreign(RunFolder(tmp_path / "new"))
    for name in ("minutes.json", "page.html", ".page.html.7.partial"):
        (tmp_path / name).touch()
    refuse_foreign(RunFolder(tmp_path))
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="something that is not a run"):
        refuse_foreign(RunFolder(tmp_path))
