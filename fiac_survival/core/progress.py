"""Saying what is being done: a live line on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console

logger = logging.getLogger("fiac_survival")
logger.addHandler(logging.NullHandler())


@dataclass
class Progress:
    """Reports the steps of long work.

    Parameters
    ----------
    quiet : bool, default False
        Say nothing (the log still has it).
    console : rich.console.Console, optional
        Where to; standard error by default.

    Examples
    --------
    >>> progress = Progress(quiet=True)
    >>> with progress.step("counting"):
    ...     pass
    """

    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Report a step: at its start, and on a terminal how long it took.

        Parameters
        ----------
        text : str
            What is being done.

        Yields
        ------
        None
            The step runs within the block.
        """
        logger.info("%s", text)
        begun = time.perf_counter()
        if self.quiet:
            yield
        elif self.console.is_terminal:
            with self.console.status(text):
                yield
            self.console.print(
                f"[green]done[/green] {text} ({time.perf_counter() - begun:.1f} s)", markup=True
            )
        else:
            self.console.print(text, markup=False)
            yield
        logger.info("done: %s (%.2f s)", text, time.perf_counter() - begun)

    def say(self, text: str) -> None:
        """Report a result.

        Parameters
        ----------
        text : str
            One line or several.
        """
        logger.info("%s", text)
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)
