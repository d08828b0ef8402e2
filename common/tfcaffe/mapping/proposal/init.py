"""`mapping init`: a proposal as a mapping file, with a comment beside each guess."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from tfcaffe.mapping.proposal.file_text import mapping_text
from tfcaffe.mapping.proposal.propose import Proposal, propose
from tfcaffe.mapping.sides import AnyPath, SideOptions
from tfcaffe.output import check_writable, replacing
from tfcaffe.terminal import table


@dataclass(frozen=True)
class Init:
    """What `mapping init` wrote.

    Args:
        text: the file.
    """

    path: Path
    proposal: Proposal
    text: str

    @property
    def complete(self) -> bool:
        """Whether every blob and every variable has its place."""
        return self.proposal.complete

    def to_json(self) -> dict[str, Any]:
        """Plain data: what `--json` prints. The keys stay as they are."""
        found = self.proposal
        return {
            "mapping": str(self.path),
            "net": found.plan.net.path,
            "complete": self.complete,
            "guesses": [
                {
                    "layer": guess.blob.name,
                    "role": guess.blob.role,
                    "variables": list(guess.names),
                    "constant": guess.constant,
                    "minus": guess.minus or None,
                    "layout": guess.layout,
                    "more": list(guess.more),
                    "certain": guess.certain,
                    "reason": guess.reason,
                    "others": list(guess.others),
                }
                for guess in found.guesses
            ],
            "unmatched_blobs": [str(blob) for blob in found.lone_blobs],
            "unmatched_variables": [variable.name for variable in found.lone_variables],
            "left_out": list(found.apart),
            "neutral": [
                {
                    "variable": variable.name,
                    "must_be": variable.number,
                    "certain": variable.certain,
                    "reason": variable.reason,
                    "others": list(variable.others),
                }
                for variable in found.neutral
            ],
            "notes": list(found.notes),
        }

    def table(self) -> str:
        """Every guess, and every variable left out, with the reason for it."""
        rows = [("blob", "what it is", "", "why")]
        for guess in self.proposal.guesses:
            what = " + ".join(guess.names) or f"constant {guess.constant:g}"
            said = [guess.layout, f"minus {guess.minus}" if guess.minus else "", *guess.more]
            how = ", ".join(filter(None, said))
            sure = "certain" if guess.certain else "uncertain"
            rows.append((str(guess.blob), what, how, f"{sure}: {guess.reason}"))
        for variable in self.proposal.neutral:
            sure = "certain" if variable.certain else "uncertain"
            how = f"must_be {variable.number:g}"
            rows.append(("", variable.name, how, f"{sure}: {variable.reason}"))
        return table(rows)

    def to_text(self) -> str:
        """A few lines: what was found, and what to look at."""
        found = self.proposal
        sure = sum(guess.certain for guess in found.guesses)
        rest = len(found.guesses) - sure
        doubtful = rest + sum(not variable.certain for variable in found.neutral)
        lines = [f"{self.path}: {len(found.guesses)} entries, {sure} certain, {rest} uncertain"]
        if found.neutral:
            lines.append(f"left out, as they change nothing: {len(found.neutral)} variables")
        if doubtful:
            lines.append("look at each line marked `uncertain`, then run mapping check")
        for what, names in (
            ("blobs", [str(blob) for blob in found.lone_blobs]),
            ("variables", [variable.name for variable in found.lone_variables]),
        ):
            if names:
                lines.append(f"unmatched {what}: {len(names)} (listed at the end of the file)")
        return "\n".join(lines)


def init(
    net: AnyPath,
    checkpoint: AnyPath,
    output: AnyPath,
    *,
    overwrite: bool = False,
    **options: Unpack[SideOptions],
) -> Init:
    """Propose a mapping and write it.

    Args:
        net: the prototxt.
        checkpoint: a file of variables; numbers are read only of those that have no blob.
        output: the mapping file to be.
        overwrite: replace it if it exists.
        options: `tfcaffe.mapping.sides.SideOptions` has them all.

    Raises:
        ConversionError: a file is missing, damaged or wrong; the output cannot be written.
    """
    path = Path(output)
    check_writable(path, overwrite)
    proposal = propose(net, checkpoint, **options)
    text = mapping_text(proposal, path)
    with replacing(path, overwrite) as place:
        place.write_bytes(text.encode("utf-8"))
    return Init(path, proposal, text)
