"""`verify`: a Caffe net and its TensorFlow model on the same input, compared blob by blob."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tfcaffe.cli import ANSWER_IS_NO, DONE, Console
from tfcaffe.commands.options import add_net_options, add_plugins, parse_shapes

NAME = "verify"
SUMMARY = "run a Caffe net and its TensorFlow model on the same input and compare every blob"
EXAMPLE = (
    "verify deploy.prototxt net.caffemodel net.keras",
    "verify deploy.prototxt net.caffemodel net.keras --input cat.jpg --mean 104,117,123",
    "verify deploy.prototxt net.caffemodel net.keras --mode isolated --report report.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("net", metavar="CAFFE_NET", help="prototxt; `-` for the caffemodel's own")
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        nargs="?",
        type=Path,
        help=".caffemodel or Caffe's .h5; left out for a net without weights",
    )
    parser.add_argument(
        "model",
        metavar="TF_MODEL",
        type=Path,
        help=".keras, SavedModel directory, frozen .pb or a Keras model's .h5",
    )
    add_net_options(parser)
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help=".npy in Caffe's layout, or an image (repeatable: a batch, or one for each input)",
    )
    parser.add_argument(
        "--samples", type=int, default=2, metavar="N", help="random inputs instead (default: 2)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random inputs")
    parser.add_argument(
        "--rtol",
        type=float,
        default=1e-4,
        metavar="X",
        help="largest difference by a blob's scale that is equal (default: 1e-4)",
    )
    parser.add_argument(
        "--mode",
        choices=("chained", "isolated"),
        default="chained",
        help="isolated: feed each TensorFlow layer Caffe's own bottoms (default: chained)",
    )
    parser.add_argument("--mean", metavar="M", help="of the input: subtract a mean")
    parser.add_argument("--scale", type=float, metavar="S", help="of the input: then a factor")
    parser.add_argument(
        "--channel-order", choices=("bgr", "rgb"), help="of the input (Caffe's nets want bgr)"
    )
    parser.add_argument(
        "--backend",
        choices=("pycaffe", "opencv"),
        default="pycaffe",
        help="who runs Caffe's side (default: pycaffe, real Caffe)",
    )
    parser.add_argument(
        "--dump", type=Path, metavar="DIR", help="write both sides' blobs as .npy files there"
    )
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="write an HTML page")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a dump and a report that exist"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--trust", action="store_true", help="let code in the model run (Lambda layers)"
    )
    add_plugins(parser)


def run(options: argparse.Namespace, console: Console) -> int:
    """Compare, print, and say by the exit code whether both are equal."""
    from tfcaffe.errors import UsageError
    from tfcaffe.output import check_writable, replacing_all, spare_inputs
    from tfcaffe.quiet import quiet_tensorflow, set_environment
    from tfcaffe.verify import prepare
    from tfcaffe.verify.dump import Dump
    from tfcaffe.verify.page import page

    set_environment()
    outputs = [path for path in (options.dump, options.report) if path is not None]
    for path in outputs:
        check_writable(path, options.overwrite, directory=path is options.dump)
    inputs = [options.net, options.weights, options.model, options.mean, *options.input]
    spare_inputs(outputs, [*inputs, *options.protos, *options.plugin])
    if len(outputs) > 1 and options.dump.resolve() in options.report.resolve().parents:
        raise UsageError(f"--report {options.report}: lies in what --dump writes; name another")
    job = prepare(
        options.net,
        options.weights,
        options.model,
        input=options.input,
        samples=options.samples,
        seed=options.seed,
        rtol=options.rtol,
        mode=options.mode,
        phase=options.phase,
        level=options.level,
        stage=options.stages,
        input_shape=parse_shapes(options.input_shapes),
        mean=options.mean,
        scale=options.scale,
        channel_order=options.channel_order,
        backend=options.backend,
        proto=options.protos,
        plugin=options.plugin,
        trust=options.trust,
    )
    quiet_tensorflow()
    with ExitStack() as stack:
        directories = [path for path in outputs if path is options.dump]
        files = replacing_all(outputs, options.overwrite, directories=directories)
        new = dict(zip(outputs, stack.enter_context(files), strict=True))
        watch = stack.enter_context(Dump(new[options.dump])) if options.dump else None
        with console.progress() as progress:
            report = job.run(watch=watch, progress=progress)
        if options.report:
            new[options.report].write_text(page(report), encoding="utf-8")
    _print(report, options.json, console)
    return DONE if report.verdict == "equal" else ANSWER_IS_NO


def _print(report: Any, as_json: bool, console: Console) -> None:
    from tfcaffe.verify import text

    if as_json:
        console.result(json.dumps(report.to_json(), indent=1))
        return
    if console.verbosity >= 0:
        console.result(text.table(report))
        console.result(text.summary(report))
        if report.not_compared:
            console.result(text.not_compared(report, everything=console.verbosity > 0))
    console.result(text.verdict(report))
    for note in report.notes:
        console.note(note)
