"""Caffe's HDF5 weights files (`.caffemodel.h5`): /data/<layer>/<index of the blob>.

Source: net.cpp, ToHDF5 and CopyTrainedLayersFromHDF5.
"""

import mmap
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, OutputError, WeightsError
from tfcaffe.files.hdf5 import check_dataset, is_hard_link, opened
from tfcaffe.files.weights import Blob, Blobs, FloatArray, LayerBlobs, Shape, Weights, as_float32
from tfcaffe.input import FileIdentity, map_file
from tfcaffe.output import replacing

_ROOT = "data"
_KERAS = {"model_weights", "layers", "_layer_checkpoint_dependencies"}  # groups in Keras's files,
_KERAS_SAYS = {"keras_version", "layer_names"}  # and attributes of the older ones
_MAX_AXES = 32  # blob.hpp, kMaxBlobAxes
_MAX_BLOBS = 1 << 10
_MAX_DEPTH = 64  # slashes in a layer's name


def read(path: str | Path) -> Weights:
    """The layers and blobs of an HDF5 weights file.

    A blob is read when it is used: a view of the mapped file where it lies there in one piece, as
    Caffe writes it. Nested groups are layers with "/" in their names.

    Raises:
        UsageError: There is no such file.
        FileFormatError: It is no weights file of Caffe's, or a damaged one.
    """
    import h5py

    path = Path(path)
    identity, buffer = map_file(path)
    layers: dict[str, LayerBlobs] = {}
    with opened(path) as file:
        if not isinstance(file.get(_ROOT, getlink=True, default=None), h5py.HardLink) or (
            file.get(_ROOT, getclass=True) is not h5py.Group
        ):
            keras = not (_KERAS.isdisjoint(file) and _KERAS_SAYS.isdisjoint(file.attrs))
            raise FileFormatError(
                f"{path}: is HDF5, but not Caffe's: it has no group /{_ROOT}"
                + ("; it looks like Keras's: its weights, or a model for `verify`" if keras else "")
            )
        for name, datasets in _layers(path, file[_ROOT]):
            layers[name] = _read_layer(identity, buffer, name, datasets)
    if not layers:
        raise FileFormatError(f"{path}: holds no layers")
    return Weights(identity, layers)


def write(path: str | Path, layers: Iterable[LayerBlobs], *, overwrite: bool = False) -> None:
    """Writes layers and their blobs (as float32) as Caffe itself would.

    Args:
        path: The file to be; it appears when it is complete.
        layers: In the net's order; a layer without blobs gets its group, too.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: A layer's name cannot be a group's, or the file cannot be written.
        WeightsError: A blob is not of floats, or float32 cannot hold its values.
    """
    import h5py

    with replacing(path, overwrite) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                root = file.create_group(_ROOT)
                for layer in layers:
                    _write_layer(path, root, layer)
        except (OSError, RuntimeError) as error:  # h5py has both for a disk that is full
            raise OutputError(f"{path}: cannot be written: {error}") from error


def _write_layer(path: str | Path, root: Any, layer: LayerBlobs) -> None:
    if layer.name in ("", ".") or {"/", "\0"} & set(layer.name):
        raise OutputError(
            f"{path}: layer {layer.name!r} cannot be stored, since HDF5 gives "
            f'"/", "." and empty names a meaning of their own; write a .caffemodel'
        )
    if layer.name in root:
        raise OutputError(f"{path}: two layers are called {layer.name!r}; write a .caffemodel")
    group = root.create_group(layer.name)
    for index in range(len(layer.blobs)):
        if index not in layer.absent:
            group.create_dataset(str(index), data=as_float32(layer, index))


def _layers(path: Path, root: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Layers' names and data sets. A group of groups only is the part of a name before a "/".

    Iterative, and every group is taken once, so that neither deep nor circular files do harm.
    """
    import h5py

    seen = set()
    waiting = [("", root)]
    while waiting:
        name, group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen or name.count("/") > _MAX_DEPTH:
            raise FileFormatError(f"{path}: group /{_ROOT}/{name} comes twice or lies too deep")
        seen.add(address)
        datasets, groups = {}, []
        for key in group:
            where = f"/{_ROOT}/{name}/{key}" if name else f"/{_ROOT}/{key}"
            if not is_hard_link(group, key):
                raise FileFormatError(f"{path}: {where} is a link; give a file without links")
            child = group[key]
            if isinstance(child, h5py.Group):
                groups.append((f"{name}/{key}" if name else key, child))
            elif isinstance(child, h5py.Dataset) and name:
                datasets[key] = child
            else:
                raise FileFormatError(f"{path}: {where} is neither a layer's group nor a blob")
        if name and (datasets or not groups):
            yield name, datasets
        waiting += reversed(groups)


def _read_layer(
    identity: FileIdentity, buffer: mmap.mmap, name: str, datasets: dict[str, Any]
) -> LayerBlobs:
    found: dict[int, Blob] = {}
    for key, dataset in datasets.items():
        where = f"{identity.path}: layer {name!r}, blob {key!r}"
        if not key.isascii() or not key.isdecimal() or key != str(int(key[:9])):
            raise FileFormatError(f"{where}: blobs are numbered 0, 1, 2 …")
        if int(key) >= _MAX_BLOBS:
            raise FileFormatError(f"{where}: no layer has so many blobs")
        found[int(key)] = _read_blob(identity, buffer, where, dataset)
    count = max(found, default=-1) + 1
    absent = frozenset(range(count)) - found.keys()
    found |= {index: Blob((), partial(_refuse, identity.path, name, index)) for index in absent}
    return LayerBlobs(name, "", Blobs([found[i] for i in range(count)]), absent=absent)


def _refuse(path: Path, name: str, index: int) -> FloatArray:
    raise WeightsError(
        f"{path}: layer {name!r}: blob {index} is not in the file; the layer shares it with another"
    )


def _read_blob(identity: FileIdentity, buffer: mmap.mmap, where: str, dataset: Any) -> Blob:
    dtype, shape = dataset.dtype, dataset.shape
    if dtype.kind != "f" or dtype.itemsize > 8 or shape is None:
        raise FileFormatError(f"{where}: holds {dtype}, not float16, float32 or float64")
    if len(shape) > _MAX_AXES:
        raise FileFormatError(f"{where}: has {len(shape)} axes, Caffe allows {_MAX_AXES}")
    check_dataset(where, dataset)
    offset = dataset.id.get_offset()
    if offset is None or dataset.chunks or dataset.file.userblock_size:
        return Blob(shape, partial(_read_values, identity, dataset.name))
    if offset + dataset.nbytes > len(buffer):
        raise FileFormatError(f"{where}: lies beyond the end of the file")
    return Blob(shape, partial(_view, buffer, shape, dtype, offset))


def _view(buffer: mmap.mmap, shape: Shape, dtype: np.dtype[Any], offset: int) -> FloatArray:
    return np.ndarray(shape, dtype, buffer, offset)


def _read_values(identity: FileIdentity, name: str) -> FloatArray:
    if not identity.unchanged():
        raise FileFormatError(f"{identity.path}: was changed while it was being read")
    with opened(identity.path) as file:
        values: FloatArray = file[name][()]
    values.flags.writeable = False
    return values
