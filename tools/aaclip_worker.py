"""One `aaclip worker` as a child process: JSON lines to it, JSON lines from it. Python 3.10 or later, no packages.

    from aaclip_worker import Worker

    with Worker(["aaclip", "worker", "--threads", "1"], restarts=1) as worker:
        for answer in worker.score({"id": n, "path": n} for n in names):
            print(answer)                       # the line as the worker wrote it, in the order of the requests

Requests are sent some ahead of the answers, because the worker looks at several pictures at a time.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LAST_MESSAGES = 20
"""Lines of the worker's stderr that an error repeats."""


class WorkerError(RuntimeError):
    """The worker is not available, or violates its protocol. Trying again does not help."""


class WorkerDied(WorkerError):
    """The worker ended or hung while it owed answers. Trying again may help."""


class Worker:
    """A worker process. It is started with the first request, and again if it died and `restarts` allows it.

    `command` is the whole command line. `restarts` is how often in a row, without an answer in between, it may die
    before `WorkerDied` is raised; unanswered requests are sent again, so no answer is lost or duplicated.
    `window` requests are sent ahead. A worker that gives no answer for `timeout` seconds counts as dead.
    """

    def __init__(
        self, command: Sequence[str], *, restarts: int = 0, window: int = 16, timeout: float | None = 900
    ) -> None:
        if window < 1:
            raise ValueError(f"window is {window}, and at least one request must be sent before its answer comes")
        self.command, self.restarts, self.window, self.timeout = list(command), restarts, window, timeout
        self._running: _Process | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def score(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """One line per request, in their order; a request without an `id` is answered too. A request that the worker
        cannot read (a path that is not Unicode, a line that is too long) is answered with an error and its id."""
        source, owed = iter(requests), collections.deque()
        sent = deaths = 0
        try:
            while True:
                while len(owed) < self.window and (request := next(source, None)) is not None:
                    owed.append((request.get("id"), json.dumps(request, allow_nan=False).encode() + b"\n"))
                if not owed:
                    return
                self._running = self._running or _Process(self.command)
                for _, line in itertools.islice(owed, sent, None):
                    self._running.requests.put(line)
                sent = len(owed)
                try:
                    answer = self._running.answer(self.timeout)
                except WorkerDied:
                    self.close()
                    sent, deaths = 0, deaths + 1
                    if deaths > self.restarts:
                        raise
                    continue
                sent, deaths = sent - 1, 0
                expected, _ = owed.popleft()
                yield self._checked(answer, expected)
        finally:
            # Answers that nobody waits for any more must not be taken for those of the next requests.
            if owed:
                self.close(kill=True)

    def close(self, *, kill: bool = False) -> None:
        """Lets the process end; one that will not, or need not, is killed."""
        running, self._running = self._running, None
        if running is not None:
            running.end(kill)

    def _checked(self, answer: bytes, expected: Any) -> str:
        """The answer, if it is the one that is due."""
        # The id as JSON: tuples become lists, and keys become strings.
        text = json.dumps(expected)
        expected = json.loads(text)
        try:
            line = answer.decode().rstrip("\n")
            record = json.loads(line)
            found, error = record.get("id"), record.get("error")
        except (ValueError, AttributeError):
            raise WorkerError(f"`{self.command[0]}` wrote a line that is not a record: {answer[:200]!r}") from None
        # A null id and none are the same to the worker.
        if found == expected:
            return line
        # Answers come in order: where the worker could not read the id, it is that of the request whose turn it is.
        if found is None and isinstance(error, dict) and error.get("kind") == "bad_request":
            return f'{{"id":{text},{line[1:]}'
        raise WorkerError(f"`{self.command[0]}` answered {found!r} where {expected!r} was due")


class _Process:
    """A worker that runs. Its pipes are served by threads, so that none can fill up while the other side waits."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        try:
            self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as e:
            raise WorkerError(f"cannot start `{command[0]}`: {e.strerror}; it must be on every machine") from e
        self.requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._messages: collections.deque[str] = collections.deque(maxlen=LAST_MESSAGES)
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._write, self._read, self._listen)]
        for thread in self._threads:
            thread.start()

    def answer(self, timeout: float | None) -> bytes:
        """The next line."""
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            self._child.kill()
            raise WorkerDied(f"the worker gave no answer for {timeout:g} s") from None
        if answer is None:
            raise self._obituary()
        return answer

    def end(self, kill: bool) -> None:
        if kill:
            self._child.kill()
        self.requests.put(None)
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._join()

    def _join(self) -> None:
        for thread in self._threads[1:]:
            thread.join(timeout=5)

    def _write(self) -> None:
        # The end of the answers shows that the process has ended.
        with contextlib.suppress(OSError), self._child.stdin as stream:
            for line in iter(self.requests.get, None):
                stream.write(line)
                stream.flush()

    def _read(self) -> None:
        for line in self._child.stdout:
            # A line that is cut off because the process died is not an answer.
            if line.endswith(b"\n"):
                self._answers.put(line)
        self._answers.put(None)

    def _listen(self) -> None:
        for line in self._child.stderr:
            text = line.decode(errors="replace").rstrip("\n")
            self._messages.append(text)
            print(text, file=sys.stderr)

    def _obituary(self) -> WorkerError:
        """The reason why the process ended."""
        try:
            code = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return WorkerDied("the worker closed its output but runs on")
        self._join()
        said = "; it said:\n" + "\n".join(self._messages) if self._messages else "; it said nothing"
        if code == 2:
            return WorkerError(f"the worker cannot work (exit code 2){said}")
        if code < 0:
            hint = ", as the system does when memory is short" if -code == signal.SIGKILL else ""
            return WorkerDied(f"the worker was ended by {_signal_name(-code)}{hint}{said}")
        return WorkerDied(f"the worker ended with code {code} while it owed answers{said}")


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
