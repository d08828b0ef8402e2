"""The conversion as two functions: to files, and to a Keras model in memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from caffe2tf import formats
from caffe2tf.build import build
from caffe2tf.options import AnyPath, Options, with_defaults
from caffe2tf.source import Source, read_source
from tfcaffe.errors import OutputError, UsageError, naming
from tfcaffe.input import FileIdentity
from tfcaffe.load import CARRIED
from tfcaffe.options import only
from tfcaffe.output import check_writable, replacing_all, spare_inputs
from tfcaffe.progress import Watch, unwatched

log = logging.getLogger("caffe2tf")


def convert(
    net: AnyPath,
    weights: AnyPath | None,
    output: AnyPath | Sequence[AnyPath],
    *,
    to: str | None = None,
    overwrite: bool = False,
    mapping: AnyPath | None = None,
    like: AnyPath | None = None,
    **options: Unpack[Options],
) -> list[str]:
    """Write a Caffe net as TensorFlow files.

    Args:
        net: the prototxt, of any generation; `-` for the net that the caffemodel carries.
        weights: `.caffemodel` or Caffe's `.h5`; None writes the architecture with its fillers as
            initialisers.
        output: a path, or several for several outputs of one run. Its suffix says the format.
        to: the format, over what the suffix says, by its name in the command's help.
        overwrite: whether outputs that exist may be replaced.
        mapping: a mapping file, or a shipped one's name: the output gets the variables that it
            names (`.ckpt`, `.npz` or `.weights.h5`), and no model.
        like: with a mapping, a file of the user's own model, whose structure is taken over.
        options: `caffe2tf.Options` has them all, with their defaults.

    Returns:
        Notes on what was decided, for people.

    Raises:
        ConversionError: with the layer, the field and the way out; nothing is written then.
        TypeError: there is no such option.
    """
    if mapping is not None:
        return fill_by(mapping, net, weights, output, to, like, overwrite, options)
    if like is not None:
        raise UsageError("--like goes with --mapping")
    return Conversion.of(net, weights, output, to=to, overwrite=overwrite, **options).run()


def load(net: AnyPath, weights: AnyPath | None = None, **options: Unpack[Options]) -> Any:
    """The Keras model of a Caffe net, in memory. What was decided is logged ("caffe2tf", INFO).

    Args:
        net, weights: as for `convert`.
        options: `caffe2tf.Options` has them all, with their defaults.

    Raises:
        ConversionError: with the layer, the field and the way out.
        TypeError: there is no such option.
    """
    source = read_source(net, weights, **options)
    with naming(source.plan.net.path):
        built = build(source)
    for note in (*source.notes, *built.notes):
        log.info(note)
    return built.model


def fill_by(
    mapping: AnyPath,
    net: AnyPath,
    weights: AnyPath | None,
    output: AnyPath | Sequence[AnyPath],
    to: str | None,
    like: AnyPath | None,
    overwrite: bool,
    options: Options,
    watch: Watch = unwatched,
) -> list[str]:
    """Write the variables that a mapping names; arguments and errors as for `convert`."""
    from caffe2tf.fill import fill
    from tfcaffe.mapping import sides

    given = with_defaults(options)
    reason = "shapes a model, and --mapping only moves numbers"
    chosen = only(sides.DEFAULTS, given, with_defaults({}), reason)
    if to is not None:
        raise UsageError("--mapping writes .ckpt, .npz or .weights.h5, by the output's suffix")
    if str(net) == "-":
        raise UsageError("--mapping is about a prototxt: name the NET")
    if weights is None:
        raise UsageError("--mapping moves numbers: name the WEIGHTS")
    paths = [output] if isinstance(output, str | PathLike) else list(output)
    targets = [Path(path) for path in paths]
    return fill(
        net,
        weights,
        targets,
        like=like,
        mapping=mapping,
        overwrite=overwrite,
        watch=watch,
        **chosen,
    )


@dataclass(frozen=True)
class Conversion:
    """Inputs that are read and fit, and outputs that can be written. So far without TensorFlow.

    Args:
        inputs: the files that it is made from, as they were before they were read.
    """

    source: Source
    targets: Sequence[formats.Target]
    inputs: Sequence[FileIdentity]
    overwrite: bool

    @classmethod
    def of(
        cls,
        net: AnyPath,
        weights: AnyPath | None,
        output: AnyPath | Sequence[AnyPath],
        *,
        to: str | None,
        overwrite: bool,
        **options: Unpack[Options],
    ) -> Conversion:
        """The arguments, the raised errors: as for `convert`."""
        paths = [output] if isinstance(output, str | PathLike) else list(output)
        if not paths:
            raise UsageError("name an output")
        targets = [formats.Target(Path(path), formats.find(Path(path), to)) for path in paths]
        for target in targets:
            for path in target.files:
                check_writable(path, overwrite, directory=target.format.directory)
        plugins, protos = options.get("plugin", ()), options.get("proto", ())
        named = [weights, options.get("mean"), *plugins, *protos]
        named += [] if str(net) == CARRIED else [net]
        inputs = [path for path in named if isinstance(path, str | PathLike)]
        spare_inputs([path for target in targets for path in target.files], inputs)
        identities = [FileIdentity.of(Path(path)) for path in filter(os.path.isfile, inputs)]
        return cls(read_source(net, weights, **options), targets, identities, overwrite)

    @property
    def needs_tensorflow(self) -> bool:
        """Whether any of the outputs does."""
        return any(target.format.tensorflow for target in self.targets)

    def run(self, watch: Watch = unwatched) -> list[str]:
        """Write the outputs, all or none; gives the notes."""
        files = [path for target in self.targets for path in target.files]
        directories = [target.path for target in self.targets if target.format.directory]
        source = replace(self.source, watch=watch)
        self._tell()
        with replacing_all(files, self.overwrite, directories=directories) as places:
            with naming(source.plan.net.path):
                notes = formats.write(source, self.targets, places)
            for identity in self.inputs:
                if not identity.unchanged():
                    raise OutputError(f"{identity.path} changed meanwhile; nothing was written")
        return [*source.notes, *notes]

    def _tell(self) -> None:
        """What is read and used, for --verbose."""
        source, weights = self.source, self.source.weights
        log.debug("%s: %d layers", source.plan.net.path, len(source.plan.layers))
        if weights is not None:
            size, count = weights.identity.size, len(weights.layers)
            log.debug("%s: %s bytes, %d layers with blobs", weights.path, f"{size:,}", count)
        if self.needs_tensorflow:
            from importlib.metadata import version

            log.debug("TensorFlow %s, Keras %s", version("tensorflow"), version("keras"))
