"""``datasets.yaml``: the list of datasets of an analysis, with the files that hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gammax import __version__
from gammax._paths import check_targets, resolve_path
from gammax._yaml import read_yaml, write_yaml
from gammax.datasets._dataset import DatasetBase
from gammax.datasets._files import dataset_files, read_dataset, write_files
from gammax.datasets._map_dataset import MapDataset
from gammax.datasets._map_onoff import MapDatasetOnOff
from gammax.datasets._ogip_write import OGIP_SUFFIXES, ogip_name
from gammax.datasets._spectrum import SpectrumDataset
from gammax.datasets._spectrum_onoff import SpectrumDatasetOnOff
from gammax.errors import SchemaError, did_you_mean

TYPES = {cls.tag: cls for cls in (SpectrumDataset, SpectrumDatasetOnOff, MapDataset, MapDatasetOnOff)}
_TOP_KEYS = ("datasets", "metadata", "checksum")
_ENTRY_KEYS = ("name", "type", "filename")


def read_datasets(path: str | Path) -> list[DatasetBase]:
    """Datasets that a ``datasets.yaml`` lists. The names in it win over those in the files.

    Raises
    ------
    SchemaError : unknown or missing keys, unknown type. FileFormatError : a file is missing.
    """
    path = resolve_path(path)
    content = read_yaml(path, "datasets file")
    _check_keys(content, _TOP_KEYS, ("datasets",), path)
    entries = content["datasets"]
    if not isinstance(entries, list) or not entries:
        raise SchemaError(
            "GX-DATASETS-130",
            "datasets must be a list with at least one entry",
            file=path,
            found="an empty list" if entries == [] else type(entries).__name__,
        )
    return [_read_entry(entry, k, path) for k, entry in enumerate(entries)]


def write_datasets(datasets: Sequence[DatasetBase], path: str | Path, format: str, overwrite: bool) -> Path:
    """Write a ``datasets.yaml`` and, beside it, the datasets; the list is written last, all is checked first."""
    path = resolve_path(path)
    names = _file_names(datasets, format, path.name)
    sets = [dataset_files(data, path.parent / name, format) for data, name in zip(datasets, names, strict=True)]
    check_targets([path, *(target for files in sets for target in files)], overwrite)
    for files in sets:
        write_files(files, overwrite)
    entries = [
        {"name": dataset.name, "type": dataset.tag, "filename": name}
        for dataset, name in zip(datasets, names, strict=True)
    ]
    return write_yaml({"datasets": entries, "metadata": {"creator": f"gammax {__version__}"}}, path, overwrite)


def _read_entry(entry: Any, k: int, path: Path) -> DatasetBase:
    where = f"datasets[{k}]"
    if not isinstance(entry, dict):
        raise SchemaError(
            "GX-DATASETS-132",
            "an entry of datasets must be a mapping",
            file=path,
            key=where,
            found=type(entry).__name__,
            expected="name, type, filename",
        )
    _check_keys(entry, _ENTRY_KEYS, ("type", "filename"), path, where)
    if str(entry["type"]) not in TYPES:
        raise SchemaError(
            "GX-DATASETS-133",
            f"unknown dataset type {entry['type']!r}",
            file=path,
            key=f"{where}.type",
            do=did_you_mean(entry["type"], TYPES),
        )
    name, filename = entry.get("name"), entry["filename"]
    # an observation number is written without quotes more often than not; 1e5 would not come back as it was written
    if isinstance(name, bool) or not isinstance(name, str | int | None):
        raise SchemaError(
            "GX-DATASETS-136",
            "the name of a dataset must be text",
            file=path,
            key=f"{where}.name",
            found=repr(name),
            do="put it in quotes",
        )
    if not isinstance(filename, str):
        raise SchemaError(
            "GX-DATASETS-137", "a filename must be text", file=path, key=f"{where}.filename", found=repr(filename)
        )
    name = None if name is None else str(name)
    return read_dataset(resolve_path(filename, path.parent), TYPES[entry["type"]], name=name)


def _check_keys(
    mapping: dict[str, Any], known: Sequence[str], required: Sequence[str], path: Path, where: str | None = None
) -> None:
    for key in mapping:
        if key not in known:
            raise SchemaError(
                "GX-DATASETS-134", f"unknown key {key!r}", file=path, key=where, do=did_you_mean(key, known)
            )
    for key in required:
        if mapping.get(key) is None:
            raise SchemaError("GX-DATASETS-135", f"key {key!r} is missing", file=path, key=where)


def _file_names(datasets: Sequence[DatasetBase], format: str, index: str) -> list[str]:
    """File names from dataset names, safe on every file system; all files beside them are different, too."""
    names: list[str] = []
    taken = {index.casefold()}
    suffixes = OGIP_SUFFIXES if format == "ogip" else ("",)
    for dataset in datasets:
        prefix = "pha_obs" if dataset.tag == "SpectrumDatasetOnOff" else ""
        stem = prefix + re.sub(r"[^\w+-]", "_", dataset.name, flags=re.ASCII)
        number, candidate = 1, f"{stem}.fits"
        while taken & (files := {ogip_name(candidate, suffix).casefold() for suffix in suffixes}):
            number += 1
            candidate = f"{stem}_{number}.fits"
        taken |= files
        names.append(candidate)
    return names
