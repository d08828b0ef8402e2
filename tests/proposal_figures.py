"""How often `mapping init` is right, over all shipped pairs, as a table.

    python tests/proposal_figures.py

The goals, which `test_propose` holds for each pair: with the real names at least 95 % of the blobs
right, with one side's names replaced 90 %; nothing wrong that is not marked as uncertain.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from corpus import CORPUS, NO_CORPUS
from proposals import Score, Truth, automatic, counted, score, scrambled, shipped
from shipped_nets import SHIPPED

Renamed = Callable[[Truth], dict[str, str]]
ROWS: dict[str, tuple[bool, Renamed | None]] = {  # whether Caffe's names are replaced, TensorFlow's
    "the real names": (False, None),
    "variables as Keras counts them": (False, automatic),
    "variables by their layers' numbers": (False, counted),
    "Caffe's layers by their numbers": (True, None),
    "variables with random names": (False, scrambled),
}


def scores(blind: bool, rename: Renamed | None, folder: Path) -> list[Score]:
    """One for each shipped pair."""
    found = []
    for name in SHIPPED:
        truth = shipped(name, CORPUS, folder, blind=blind)
        found.append(score(truth.renamed(rename(truth)) if rename else truth))
    return found


def main() -> None:
    """Print the table."""
    if not CORPUS.is_dir():
        print(NO_CORPUS)
        return
    print(f"| {len(SHIPPED)} pairs | right, mean | least | certain | wrong and certain |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tfcaffe-") as folder:
        for row, (blind, rename) in ROWS.items():
            found = scores(blind, rename, Path(folder))
            right = [s.right for s in found]
            cells = [f"{mean(right):.1%}", f"{min(right):.1%}"]
            cells += [f"{mean(s.certain for s in found):.1%}", sum(len(s.hidden) for s in found)]
            print("| " + " | ".join(map(str, [row, *cells])) + " |", flush=True)


if __name__ == "__main__":
    main()
