"""A whole network becomes STEM.prototxt and STEM.caffemodel."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe import dialect, ops
from tf2caffe.network import Network, build
from tf2caffe.options import Options, with_defaults
from tf2caffe.sources import Source, kind_of
from tf2caffe.write import write
from tfcaffe.errors import OutputError, UsageError
from tfcaffe.input import FileIdentity
from tfcaffe.options import flag, said
from tfcaffe.output import check_writable, replacing_all, spare_inputs
from tfcaffe.plugins import load_plugins
from tfcaffe.preprocess import check_scale
from tfcaffe.progress import Watch, unwatched

SUFFIXES = (".prototxt", ".caffemodel")
_OTHERS = frozenset(
    [
        ".keras",
        ".h5",
        ".hdf5",
        ".pb",
        ".pbtxt",
        ".meta",
        ".ckpt",
        ".npz",
        ".npy",
        ".onnx",
        ".tflite",
    ]
)
log = logging.getLogger("tf2caffe")


def targets(output: Any) -> list[Path]:
    """The two files that are written, by their common stem; its suffix may be said."""
    path = Path(output)
    stem = path.with_suffix("") if path.suffix in SUFFIXES else path
    if not stem.name:
        raise UsageError(f"-o {output}: name a file, without its suffix")
    if path.suffix in _OTHERS:
        raise UsageError(
            f"-o {output}: {' and '.join(SUFFIXES)} are written, not {path.suffix}; say "
            f"-o {path.with_suffix('')}"
        )
    return [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]


@dataclass(frozen=True)
class Conversion:
    """A source of a known kind, options that make sense, and outputs that can be written.

    So far all is done without TensorFlow.
    """

    source: Any
    paths: Sequence[Path]
    options: Options
    overwrite: bool

    @classmethod
    def of(cls, source: Any, output: Any, options: Options, overwrite: bool) -> Conversion:
        """The arguments: as for `tf2caffe.convert`.

        Raises:
            ConversionError: what can be told before anything is read.
        """
        paths = targets(output)
        for path in paths:
            check_writable(path, overwrite)
        kind_of(source)
        named = [source, options["mean"], options["dialect"], *options["plugin"]]
        spare_inputs(paths, [path for path in named if isinstance(path, str | PathLike)])
        _check(options)
        ops.ops()  # ours first, so that a plugin that repeats an op is told so
        load_plugins([Path(path) for path in options["plugin"]])
        return cls(source, paths, options, overwrite)

    def run(self, watch: Watch = unwatched) -> list[str]:
        """Write both files or none; gives the notes."""
        watch("TensorFlow reads the network", 0, 1)
        opened = kind_of(self.source).open_source(self.source, self.options)
        spare_inputs(self.paths, [self.source, *opened.files])
        identities = [FileIdentity.of(path) for path in opened.files]
        log.debug("%s %r: %d nodes", opened.kind, opened.name, len(opened.graph.nodes))
        watch("the network becomes Caffe's", 0, 1)
        network = build(opened.name, opened.graph, self.options)
        style = dialect.load(str(self.options["dialect"])).header
        legacy = self.options["legacy_input"] or style == "input_dim"
        _tell(opened, network)
        with replacing_all(self.paths, self.overwrite) as (text, model):
            header = self._header(opened, network)
            spoilt = write(network, text, model, header, legacy, watch)
            for identity in identities:
                if not identity.unchanged():
                    raise OutputError(f"{identity.path} changed meanwhile; nothing was written")
        return [*opened.notes, *network.notes, *spoilt]

    def _header(self, opened: Source, network: Network) -> list[str]:
        """What a person who finds the prototxt wants to know."""
        file = self.source if isinstance(self.source, str | PathLike) else None
        of = "" if file is None else f" of {Path(file).name}"
        lines = [f"{opened.name}: {opened.kind}{of}, converted by tf2caffe"]
        if options := said(self.options, with_defaults({})):
            told = (f"{flag(name)} {_told(value)}" for name, value in options.items())
            lines.append(f"options: {' '.join(told)}")
        if network.fixed:
            lines.append(f"height and width are fixed by: {', '.join(network.fixed)}")
        elif max(network.multiples) > 1:
            steps = " and ".join(map(str, network.multiples))
            lines.append(f"height and width may change by multiples of {steps}")
        return [" ".join(line.split()) for line in lines]


def _check(options: Options) -> None:
    """What is wrong with options alone.

    Raises:
        UsageError: naming the flag.
    """
    dialect.load(str(options["dialect"]))
    for name, sizes in (options["input_shape"] or {}).items():
        if not isinstance(sizes, Iterable) or not all(map(_is_size, sizes)):
            raise UsageError(
                f"--input-shape {name}: Caffe's nets have fixed sizes; give whole numbers"
            )
    check_scale(options["scale"])
    if "" in [*options["inputs"], *options["outputs"]]:
        raise UsageError("--inputs and --outputs: a name is empty")


def _is_size(size: object) -> bool:
    return isinstance(size, Integral) and int(size) >= 1


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_told(sizes)}" for name, sizes in value.items())
    if isinstance(value, PathLike):
        return Path(value).name
    if isinstance(value, list | tuple):
        return ",".join(map(_told, value))
    return "" if value is True else str(value)


def _tell(opened: Source, network: Network) -> None:
    """For --verbose: what became of each layer of the source."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    made: dict[str, list[str]] = {}
    for layer in network.layers:
        made.setdefault(layer.origin, []).append(f"{layer.type} {layer.name}")
    layers = (name for name, _ in opened.graph.marks)
    names = dict.fromkeys([*opened.graph.inputs, *layers, *made])
    for name in names:
        log.debug("%s: %s", name, ", ".join(made.get(name, ["no layer of its own"])))
