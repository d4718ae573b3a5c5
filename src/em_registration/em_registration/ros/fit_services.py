"""Fits of a registration beside the data path: a job goes out, frames go on, the result is awaited by whoever asked."""

from __future__ import annotations

from typing import Any

from rclpy.task import Future

from em_registration.fit_process import FitProcess
from em_registration.fit_wire import FitResult
from em_registration.refit import FitJob
from lodestone_core.ros.node import LodestoneNode


class Fitter:
    """One fit at a time in a process of its own, awaited on the node's executor."""

    def __init__(self, node: LodestoneNode[Any], timeout_s: float) -> None:
        self._node = node
        self._timeout_s = timeout_s
        self._done: Future | None = None
        self._results: list[FitResult] = []
        self._news = node.create_guard_condition(self._on_news)
        self._process = FitProcess(self._take)

    @property
    def busy(self) -> bool:
        """Whether a fit is under way."""
        return self._done is not None

    def warm_up(self) -> None:
        """Start the process before anybody waits for it."""
        self._process.start()

    async def fit(self, job: FitJob) -> FitResult:
        """Carry out a job; a result without a registration says why there is none."""
        if self._done is not None:
            return FitResult(None, error="another fit is under way: ask again when it is done")
        done = self._done = Future(executor=self._node.executor)
        watch = self._node.create_steady_timer(self._timeout_s, lambda: self._process.give_up(self._late()))
        try:
            self._process.submit(job)
            result: FitResult = await done
        finally:
            self._node.destroy_timer(watch)
            self._done = None
        return result

    def close(self) -> None:
        """End the process."""
        self._process.close()
        self._node.destroy_guard_condition(self._news)

    def _late(self) -> str:
        return f"the fit took more than session.fit_timeout_s = {self._timeout_s:g} s and was given up; nothing has changed"

    def _take(self, result: FitResult) -> None:
        """On the process's thread."""
        self._results.append(result)
        self._news.trigger()

    def _on_news(self) -> None:
        while self._results:
            result = self._results.pop(0)
            if self._done is not None and not self._done.done():
                self._done.set_result(result)
