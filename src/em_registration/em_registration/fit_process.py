"""A process beside the data path in which registrations are fitted: started early, one job at a time, never waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from em_registration.fit_wire import FitResult, job_to_mapping, result_from
from em_registration.refit import FitJob

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PATIENCE_S = 2.0


class FitProcess:
    """Runs fit_worker. `on_result` is called, on a thread of this object, with the result of each job.

    A process that dies or is killed during a job gives a result with an error, and the next job starts another one.
    """

    def __init__(self, on_result: Callable[[FitResult], None]) -> None:
        self._on_result = on_result
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._busy

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Have the process ready: loading it takes longer than most fits."""
        if self.pid is not None:
            return
        command = [sys.executable, "-m", "em_registration.fit_worker"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **_ONE_THREAD})
        threading.Thread(target=self._listen, args=(self._process,), name="fit", daemon=True).start()

    def submit(self, job: FitJob) -> None:
        """Begin a job; its result comes to `on_result`. Not while another is under way."""
        assert not self._busy
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None
        self._busy = True
        # Written on a thread: a pipe holds less than a job, and a process that is still loading does not read.
        threading.Thread(target=self._write, args=(process, job), name="fit job", daemon=True).start()

    def give_up(self, reason: str) -> None:
        """End the job under way; its result is an error with this reason."""
        self._finish(FitResult(None, error=reason))
        self._kill()

    def close(self) -> None:
        """End the process; a job under way has no result."""
        self._busy = False
        self._kill()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_PATIENCE_S)

    def _write(self, process: subprocess.Popen[str], job: FitJob) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(job_to_mapping(job)) + "\n")
            process.stdin.flush()
        except OSError:
            return  # it has ended; whoever listens to it says so

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            reply: dict[str, Any] = json.loads(line)
            if "ready" not in reply:
                self._finish(result_from(reply))
        code = process.wait()
        if process is self._process:
            self._finish(FitResult(None, error=f"the process that fits ended with exit code {code}; the registration in use is unchanged"))

    def _finish(self, result: FitResult) -> None:
        with self._lock:
            if not self._busy:
                return
            self._busy = False
        self._on_result(result)
