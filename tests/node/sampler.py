"""Rows that are taken again and again, in a thread, while a block runs."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, Self, TypeVar

Row = TypeVar("Row")


class Sampler(Generic[Row]):
    """A context manager.

    Args:
        take: what is seen at one moment.
        every_s: pause between two moments, seconds.
    """

    def __init__(self, take: Callable[[], Iterable[Row]], every_s: float) -> None:
        self.rows: list[Row] = []
        self._take, self._every_s = take, every_s
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ends.wait(self._every_s):
            self.rows += self._take()
