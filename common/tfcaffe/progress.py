"""How far long work is: told by whoever works, shown on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tfcaffe.terminal import printable

Watch = Callable[[str, int, int], None]
"""Is told what is being done now, how many steps are done, and of how many (1 or more)."""


def unwatched(what: str, done: int, total: int) -> None:
    """A Watch that shows nothing."""


def part(watch: Watch, name: str, index: int, count: int) -> Watch:
    """A Watch for the piece of work number `index` of `count` pieces of equal length."""

    def inner(what: str, done: int, total: int) -> None:
        watch(f"{name}: {what}", index * total + done, count * total)

    return inner


@contextmanager
def progress_bar() -> Iterator[Watch]:
    """A Watch that shows a bar on stderr, which goes away at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    text = TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)
    )
    # What is said on stderr meanwhile stays, above the bar; stdout is for results alone.
    with Progress(
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        text,
        console=Console(stderr=True),
        transient=True,
        expand=True,
        redirect_stdout=False,
    ) as bar:
        task = bar.add_task("", total=None)

        def watch(what: str, done: int, total: int) -> None:
            bar.update(task, description=printable(what), completed=done, total=total)

        yield watch
