"""The conversion as two functions: to files, and to a Keras model in memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from caffe2tf import formats
from caffe2tf.build import build
from caffe2tf.source import AnyPath, read_source
from tfcaffe.errors import OutputError, naming
from tfcaffe.output import check_writable, replacing_all

log = logging.getLogger("caffe2tf")


def convert(
    net: AnyPath,
    weights: AnyPath | None,
    output: AnyPath | Sequence[AnyPath],
    *,
    to: str | None = None,
    overwrite: bool = False,
    **options: Any,
) -> list[str]:
    """Write a Caffe net as TensorFlow files.

    Args:
        net: the prototxt, of any generation; `-` for the net that the caffemodel carries.
        weights: `.caffemodel` or Caffe's `.h5`; None writes the architecture with its fillers as
            initialisers.
        output: a path, or several for several outputs of one run. Its suffix says the format.
        to: the format, over what the suffix says (`caffe2tf.formats.names()`).
        overwrite: whether outputs that exist may be replaced.
        options: see `load`.

    Returns:
        Notes on what was decided, for people.

    Raises:
        ConversionError: with the layer, the field and the way out; nothing is written then.
    """
    paths = [output] if isinstance(output, str | PathLike) else list(output)
    targets = [formats.Target(Path(path), formats.find(Path(path), to)) for path in paths]
    files = [path for target in targets for path in target.files]
    directories = [target.path for target in targets if target.format.directory]
    for path in files:
        check_writable(path, overwrite, directory=path in directories)
    more = [options.get("mean"), *options.get("proto", ()), *options.get("plugin", ())]
    _spare_inputs(files, [net, weights, *more])
    source = read_source(net, weights, **options)
    with replacing_all(files, overwrite, directories=directories) as places:
        with naming(source.plan.net.path):
            formats.write(source, targets, places)
        if source.weights is not None and not source.weights.unchanged():
            raise OutputError(f"{source.weights.path} changed while it was read; nothing written")
    return list(source.notes)


def _spare_inputs(outputs: Sequence[Path], inputs: Sequence[Any]) -> None:
    """Refuse an output that would overwrite what it is made from, however it is spelled."""
    sources = [source for source in inputs if isinstance(source, str | PathLike)]
    for path in filter(os.path.exists, outputs):
        for source in filter(os.path.exists, sources):
            if path.samefile(source):
                raise OutputError(f"{path}: is also an input; name another output")


def load(net: AnyPath, weights: AnyPath | None = None, **options: Any) -> Any:
    """The Keras model of a Caffe net, in memory.

    Args:
        net, weights: as for `convert`.
        options: `phase` ("TEST"), `level`, `stage` (a list), `input_shape` ({blob: shape in
            Caffe's order, None for a free size}), `batch` (a number or "any"), `outputs` (blobs
            to cut at), `mean` (file or values), `scale`, `channel_order` ("bgr" or "rgb": what
            the model is fed), `keep_scale` (a Scale stays apart from its BatchNorm),
            `weight_decay` (the solver's, which becomes L2 regularisers), `proto` and `plugin`
            (lists of files).

    Raises:
        ConversionError: with the layer, the field and the way out.
    """
    source = read_source(net, weights, **options)
    for note in source.notes:
        log.info(note)
    with naming(source.plan.net.path):
        return build(source).model
