"""`mapping check`: every pair with both shapes and the transform, and all that is left over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from tfcaffe.bind import bind
from tfcaffe.errors import MappingError, UsageError
from tfcaffe.layout import Shape
from tfcaffe.load import load_weights
from tfcaffe.mapping import apply
from tfcaffe.mapping.kept import Kept, keep
from tfcaffe.mapping.pairs import Blob, Pair
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.mapping.sides import AnyPath, SideOptions, Sides, read_sides, shape_of
from tfcaffe.progress import Watch, unwatched
from tfcaffe.terminal import table
from tfcaffe.verify.caffe_side import State

if TYPE_CHECKING:
    from tfcaffe.mapping.run import Run


@dataclass(frozen=True)
class Check:
    """What `mapping check` found.

    Args:
        problems: why the mapping does not fit; none if it does.
        kept: what an old caffemodel gives, if there is one and the mapping fits.
        ran: what both sides computed, if they were run.
    """

    resolved: Resolved
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    kept: Kept | None = None
    ran: Run | None = None

    @property
    def fits(self) -> bool:
        """Whether every blob and every variable has its place, and the numbers are possible."""
        return not self.problems

    @property
    def good(self) -> bool:
        """Whether it fits and, if both sides were run, they agree."""
        return self.fits and (self.ran is None or self.ran.agrees)

    def to_json(self) -> dict[str, Any]:
        """Plain data: what `--json` prints. The keys stay as they are."""
        found = self.resolved
        return {
            "fits": self.fits,
            "mapping": str(found.mapping.path),
            "net": found.plan.net.path,
            "pairs": [self._to_json(pair) for pair in self._pairs],
            "kept_blobs": [str(blob) for blob in self._kept],
            "unmatched_blobs": [str(b) for b in found.lone_blobs if b not in self._kept],
            "unmatched_variables": list(found.lone_variables),
            "ignored_blobs": [str(blob) for blob in found.left_blobs],
            "ignored_variables": list(found.left_variables),
            "problems": list(self.problems),
            "notes": list(self.notes),
            "run": None if self.ran is None else self.ran.to_json(),
        }

    def to_text(self) -> str:
        """A table, what is left over, and one line that says whether it fits."""
        rows = [("blob", "shape", "variable", "shape", "transform")]
        for pair in self._pairs:
            shapes = " + ".join("?" if s is None else shape_of(s) for s in self._shapes(pair))
            words = self._words(pair)
            variables = " + ".join(pair.variables)
            rows.append((str(pair.blob), shape_of(pair.blob.param.shape), variables, shapes, words))
        rows += [
            (str(blob), shape_of(blob.param.shape), "", "", f"kept from {self.kept.path}")
            for blob in self._kept
            if self.kept
        ]
        parts = [table(rows, numbers=0)] if len(rows) > 1 else []
        if self.problems:
            parts.append("\n".join(self.problems))
        return "\n\n".join([*parts, *self.verdicts])

    @property
    def _pairs(self) -> list[Pair]:
        """In the net's order, with those that do not fit."""
        pairs = [*self.resolved.pairs, *self.resolved.unfit]
        return sorted(pairs, key=lambda pair: (pair.blob.layer, pair.blob.index))

    def _shapes(self, pair: Pair) -> list[Shape | None]:
        """The variables' own shapes, or without variables those that they have to have."""
        if self.resolved.shapes is not None:
            return [self.resolved.shapes.get(name) for name in pair.variables]
        found = pair.transform.variable_shapes if pair.transform else ()
        return [*found] or [None] * len(pair.variables)

    def _fits(self, pair: Pair) -> bool:
        there = self.resolved.shapes
        return pair not in self.resolved.unfit and (
            there is None or all(name in there for name in pair.names)
        )

    def _words(self, pair: Pair) -> str:
        if self._fits(pair):
            return pair.words
        return "does not fit" if pair in self.resolved.unfit else "is not there"

    def _to_json(self, pair: Pair) -> dict[str, Any]:
        shapes = self._shapes(pair)
        fits = self._fits(pair)
        return {
            "layer": pair.blob.name,
            "role": pair.blob.role,
            "blob_shape": list(pair.blob.param.shape),
            "variables": list(pair.variables),
            "variable_shapes": [None if shape is None else list(shape) for shape in shapes],
            "minus": pair.minus or None,
            "constant": pair.value.constant,
            "fits": fits,
            "transform": pair.words if fits else None,
        }

    @property
    def _kept(self) -> tuple[Blob, ...]:
        return self.kept.blobs if self.kept else ()

    @property
    def verdicts(self) -> list[str]:
        """One line that says whether it fits, and one of the run."""
        verdict = "fits" if self.fits else "does not fit"
        said = f"{self.resolved.mapping.path}: {verdict} {self.resolved.plan.net.path}"
        return [said] if self.ran is None else [said, self.ran.to_text()]


def check(
    mapping: AnyPath,
    net: AnyPath,
    *,
    weights: AnyPath | None = None,
    checkpoint: AnyPath | None = None,
    base: AnyPath | None = None,
    run: bool = False,
    watch: Watch = unwatched,
    **options: Unpack[SideOptions],
) -> Check:
    """Hold a mapping against a net and, where they are given, weights and a checkpoint.

    Args:
        mapping: a file, or the name of a shipped mapping.
        net: the prototxt.
        weights: a caffemodel; that its blobs fit, and are the constants that they must be.
        checkpoint: a file of variables; that they fit, each in one place.
        base: an old caffemodel; blobs that the mapping leaves out keep what it has.
        run: whether both sides are run as well, where the checkpoint is a model, or the mapping
            a shipped one for a net that `architectures` can make.
        watch: is told how far it is.
        options: `tfcaffe.mapping.sides.SideOptions` has them all.

    Raises:
        ConversionError: a file is missing, damaged or wrong in itself.
    """
    if run and checkpoint is None:
        raise UsageError("--run needs the TensorFlow model: --checkpoint MODEL.keras")
    sides = read_sides(mapping, net, checkpoint, **options)
    found = sides.resolved(partial=base is not None)
    kept = None if base is None else keep(found, base)
    notes = sides.notes
    if kept is not None:
        notes = (*notes, *kept.notes)
    elif found.left_blobs:
        notes = (*notes, found.left_out)
    problems = [str(problem) for problem in found.problems]
    if not problems:
        problems += _wrong_numbers(found, weights, sides.variables)
    if not run or problems:
        return Check(found, tuple(problems), notes, kept)
    assert checkpoint is not None
    state = State(
        options.get("phase", "TEST"), options.get("level", 0), tuple(options.get("stage", ()))
    )
    from tfcaffe.mapping.run import run as run_both

    with TemporaryDirectory(prefix="tfcaffe-") as folder:
        model = _model(sides, Path(checkpoint), Path(folder))
        mine = None if weights is None else Path(weights)
        old = None if kept is None else kept.numbers
        ran = run_both(sides, found, model, mine, kept=old, state=state, watch=watch)
    return Check(found, (), notes, kept, ran)


def _model(sides: Sides, checkpoint: Path, folder: Path) -> Path:
    """The checkpoint if it is a model itself, or the shipped mapping's net with its numbers.

    Raises:
        UsageError: it is neither.
    """
    from tfcaffe.mapping.architectures import is_known, model_of
    from tfcaffe.verify.opening import is_model

    assert sides.variables is not None
    path = sides.variables.path if checkpoint.name == "saved_model.pb" else checkpoint
    if is_model(path):
        return path
    if is_known(sides.mapping):
        return model_of(sides.mapping, sides.variables, folder)
    raise UsageError(
        f"{checkpoint}: is {sides.variables.kind}, which holds numbers but no model that --run "
        "could run; give the model as a .keras file or a SavedModel. From numbers alone, --run "
        "makes the nets of the shipped mappings for Keras's applications and TF-slim"
    )


def _wrong_numbers(found: Resolved, weights: AnyPath | None, variables: Any) -> list[str]:
    """Blobs that are not the constant, and variables that are not the number, that they must be."""
    problems = []
    try:
        if variables is not None:
            apply.check_variables(found, variables.entries)
    except MappingError as error:
        problems.append(str(error))
    if weights is not None:
        binding = bind(found.plan, load_weights(weights))
        try:
            apply.check_blobs(found, binding)
        except MappingError as error:
            problems.append(str(error))
    return problems
