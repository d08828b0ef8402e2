"""What both sides are fed: the user's files, or random numbers from a seed. Caffe's layout."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, RuntimeMissingError, UsageError
from tfcaffe.layout import Pattern, Shape
from tfcaffe.net import Ref
from tfcaffe.plan import FreeShape, Plan
from tfcaffe.preprocess import Preprocessing
from tfcaffe.verify.compare import Array
from tfcaffe.verify.reference_net import is_training

_KEEP_INDICES = {"Concat", "Dropout", "Flatten", "Permute", "Reshape", "Slice", "Split", "Tile"}


_WHOLE = 128  # numbers that any type of whole numbers has


@dataclass(frozen=True)
class Input:
    """One input blob of the net.

    Args:
        shape: what may be fed; None is a free size.
        usual: the prototxt's sizes.
        indices: how many rows the Embed layers have that look up this blob's numbers, or how many
            whole numbers a model takes that takes no others; 0 if any number will do.
        compared: whether anything but training reads it; the others are fed zeros.
    """

    name: str
    shape: FreeShape
    usual: Shape
    indices: int
    compared: bool


def inputs_of(
    plan: Plan, shapes: Mapping[str, FreeShape], whole: Collection[str] = ()
) -> list[Input]:
    """The net's inputs in order.

    Args:
        shapes: what the model takes, where that is known.
        whole: blobs that it takes whole numbers for.
    """
    readers = plan.net.consumers()
    found = []
    for i, entry in enumerate(plan.layers):
        if not entry.family.source:
            continue
        for t, top in enumerate(entry.layer.tops):
            usual = plan.shapes[i][t]
            own = entry.tops[t].shape if plan.free_batch else usual
            read = any(not is_training(plan.net.layers[r]) for r in readers.get(Ref(i, t), []))
            rows = _rows(plan, Ref(i, t), readers) or (_WHOLE if top in whole else 0)
            found.append(Input(top, shapes.get(top, own), usual, rows, read))
    return found


def random_feeds(
    inputs: Sequence[Input], samples: int, seed: int, preprocessing: Preprocessing
) -> dict[str, Array]:
    """Numbers for every input, as the model is fed.

    Standard normal; where preprocessing is asked for, pixels from 0 to 255; where an Embed layer
    looks them up, valid indices. A free batch becomes `samples`.

    Raises:
        UsageError: no samples, or more than the memory holds.
    """
    if samples < 1:
        raise UsageError(f"--samples {samples}: give a number of 1 or more")
    try:
        return _drawn(inputs, samples, np.random.default_rng(seed), preprocessing)
    except (MemoryError, ValueError) as error:  # NumPy's, of arrays beyond any memory
        raise UsageError(f"--samples {samples}: {error}") from error


def _drawn(
    inputs: Sequence[Input], samples: int, rng: np.random.Generator, preprocessing: Preprocessing
) -> dict[str, Array]:
    free = [item.usual[0] for item in inputs if item.usual and item.shape[0] is None]
    common = gcd(*free) if free else 1
    feeds = {}
    for item in inputs:
        shape = _filled(item)
        if item.usual and item.shape[0] is None:
            shape = (item.usual[0] // common * samples, *shape[1:])
        numbers: Any
        if not item.compared:
            numbers = np.zeros(shape)
        elif item.indices:
            numbers = rng.integers(0, item.indices, shape)
        elif item.name == preprocessing.blob:
            numbers = rng.integers(0, 256, shape)
        else:
            numbers = rng.standard_normal(shape)
        feeds[item.name] = np.asarray(numbers, np.float32)
    return feeds


def file_feeds(
    inputs: Sequence[Input], files: Sequence[Path], preprocessing: Preprocessing
) -> tuple[dict[str, Array], list[str]]:
    """The user's files, as the model is fed, and notes on what was done to them.

    A net with one input takes several files as one batch; otherwise there is one file for each
    input, in the net's order. Images are resized to the input's size; their channels are in
    `preprocessing`'s order (BGR if it does not say), their numbers from 0 to 255.

    Raises:
        UsageError: another number of files, or a shape that does not fit.
        FileFormatError: a file is damaged.
        RuntimeMissingError: nothing here reads images.
    """
    wanted = [item for item in inputs if item.compared]
    names = ", ".join(f"{item.name} {_said(item.shape)}" for item in wanted)
    if len(wanted) > 1 and len(files) != len(wanted):
        raise UsageError(
            f"--input: {len(files)} files for {len(wanted)} inputs; give one for each, in this "
            f"order: {names}"
        )
    notes: list[str] = []
    pairs = [(item, [file]) for item, file in zip(wanted, files, strict=False)]
    if len(wanted) == 1:
        pairs = [(wanted[0], list(files))]
    feeds = {}
    for item, sources in pairs:
        arrays = [_read(item, file, preprocessing, notes) for file in sources]
        if len({array.shape[1:] for array in arrays}) > 1:
            raise UsageError("--input: files of different sizes cannot be one batch")
        array = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        _check(item, array, f"--input {', '.join(map(str, sources))}")
        feeds[item.name] = array
    return completed(inputs, feeds), notes


def completed(inputs: Sequence[Input], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays by input blob, in Caffe's layout; zeros for inputs that only training reads.

    Raises:
        UsageError: an input is missing or unknown, or an array does not fit.
    """
    unknown = [name for name in arrays if name not in {item.name for item in inputs}]
    if unknown:
        known = ", ".join(item.name for item in inputs)
        raise UsageError(f"there is no input {unknown[0]!r}; the net's are {known}")
    feeds: dict[str, Array] = {}
    batch = next((array.shape[0] for array in arrays.values() if array.ndim), 1)
    for item in inputs:
        if item.name in arrays:
            _check(item, arrays[item.name], item.name)
            feeds[item.name] = np.asarray(arrays[item.name], np.float32)
        elif item.compared:
            raise UsageError(f"no values for the input {item.name!r} {_said(item.shape)}")
        else:
            shape = _filled(item)
            free = bool(shape) and item.shape[0] is None
            feeds[item.name] = np.zeros((batch, *shape[1:]) if free else shape, np.float32)
    return feeds


def _rows(plan: Plan, ref: Ref, readers: Mapping[Ref, Sequence[int]]) -> int:
    """The fewest rows of any Embed layer that these numbers reach unchanged; 0 if none."""
    found = []
    for i in readers.get(ref, []):
        layer = plan.net.layers[i]
        if layer.type == "Embed":
            found.append(int(layer.message.embed_param.input_dim))
        elif layer.type in _KEEP_INDICES:
            found += [_rows(plan, Ref(i, t), readers) for t in range(len(layer.tops))]
    return min((rows for rows in found if rows), default=0)


def _filled(item: Input) -> Shape:
    return tuple(u if s is None else s for s, u in zip(item.shape, item.usual, strict=True))


def _read(item: Input, file: Path, preprocessing: Preprocessing, notes: list[str]) -> Array:
    if not file.is_file():
        raise UsageError(f"--input {file}: {'is no' if file.exists() else 'there is no such'} file")
    if file.suffix == ".npy":
        return _npy(file)
    if len(item.usual) != 4:
        raise UsageError(
            f"--input {file}: the input {item.name!r} {_said(item.shape)} takes no images; give "
            "a .npy file"
        )
    _, channels, height, width = _filled(item)
    image = _image(file, channels, height, width)
    flip = preprocessing.flip and item.name == preprocessing.blob
    order = "" if channels == 1 else ", RGB" if flip else ", BGR"
    notes.append(f"{file}: resized to {height}×{width}{order}, 0 to 255")
    return np.ascontiguousarray(image[:, ::-1] if flip else image)


def _npy(file: Path) -> Array:
    try:
        array: Any = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        raise FileFormatError(f"{file}: is a damaged .npy: {error}") from error
    if array.dtype.kind not in "fiub":
        raise FileFormatError(f"{file}: holds {array.dtype}, not numbers")
    return np.ascontiguousarray(array, np.float32).reshape(array.shape)


def _image(file: Path, channels: int, height: int, width: int) -> Array:
    """`[1, C, H, W]`, BGR or gray. OpenCV reads it, or Pillow where that is absent."""
    if channels not in (1, 3):
        raise UsageError(f"--input {file}: an image has 1 or 3 channels, the input {channels}")
    try:
        import cv2
    except ImportError:
        pixels = _pillow_image(file, channels, height, width)
    else:
        kind = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
        pixels = cv2.imread(str(file), kind)
        if pixels is None:
            raise FileFormatError(f"{file}: is no image that OpenCV can read")
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    array = np.asarray(pixels, np.float32).reshape(height, width, channels)
    return np.ascontiguousarray(Pattern("h w c -> c h w").to_caffe(array)[None])


def _pillow_image(file: Path, channels: int, height: int, width: int) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise RuntimeMissingError(
            f"--input {file}: images need OpenCV (pip install 'opencv-python-headless>=4.10,<5') "
            "or Pillow; or give a .npy file"
        ) from error
    try:
        with Image.open(file) as image:
            kind = image.convert("RGB" if channels == 3 else "L")
            pixels = np.asarray(kind.resize((width, height), Image.Resampling.BILINEAR))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise FileFormatError(f"{file}: is no image that Pillow can read: {error}") from error
    return pixels[:, :, ::-1] if channels == 3 else pixels


def _check(item: Input, array: Array, source: str) -> None:
    if _fits(array.shape, item.shape):
        if not np.isfinite(array).all():
            raise UsageError(f"{source}: holds numbers that are not finite, which prove nothing")
        return
    hint = ""
    rank = array.ndim
    turned = (array.shape[0], array.shape[-1], *array.shape[1:-1]) if rank > 2 else ()
    if turned and _fits(turned, item.shape):
        hint = "; it looks channels-last: transpose it to Caffe's order first"
    elif _fits((1, *array.shape), item.shape):
        hint = "; it lacks the batch axis: add one in front"
    raise UsageError(
        f"{source}: its shape is {list(array.shape)}, the input {item.name!r} takes "
        f"{_said(item.shape)}{hint}"
    )


def _fits(shape: Shape, wanted: FreeShape) -> bool:
    return len(shape) == len(wanted) and all(
        w is None or s == w for s, w in zip(shape, wanted, strict=True)
    )


def _said(shape: FreeShape) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
