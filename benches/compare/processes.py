"""Worker processes: starting them, one pass at a time, and their cost."""

import json
import os
import subprocess
import tempfile
import time

import common


class Unable(Exception):
    """Why a contestant cannot take part."""


class Worker:
    """A contestant in its own process, loaded and warmed up."""

    def __init__(self, name, command, threads):
        self.name, self.seconds, self.answer_peak, self.failed = name, [], 0, None
        self.log = tempfile.TemporaryFile("w+", errors="replace")
        count = str(threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, count)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log}
        try:
            self.process = subprocess.Popen(command, text=True, env=environment, **pipes)
        except OSError as problem:
            raise Unable(f"{command[0]}: {problem.strerror}") from None
        self.ready = self._answer("ready ")
        # Separates the memory of loading from that of a pass: Linux can reset the peak.
        self.load_peak = common.status_bytes("VmHWM", self.process.pid)
        try:
            with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass

    def _answer(self, prefix=""):
        """The next line that starts with `prefix`, parsed."""
        for line in self.process.stdout:
            if line.startswith(prefix):
                return json.loads(line.removeprefix(prefix))
        self.process.wait()
        self.log.seek(0)
        said = [line.strip() for line in self.log if line.strip()]
        raise Unable(said[-1] if said else f"it ended with code {self.process.returncode} and said nothing")

    def go(self):
        """One forward pass. Returns how much longer the exchange took than the worker says the pass did."""
        start = time.perf_counter()
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            answer = self._answer()
        except BrokenPipeError:
            answer = self._answer()
        self.seconds.append(answer["seconds"])
        self.answer_peak = max(self.answer_peak, answer.get("peak_rss", 0))
        return time.perf_counter() - start - answer["seconds"]

    def pass_peak(self):
        """The largest resident size of the passes, in bytes."""
        return common.status_bytes("VmHWM", self.process.pid) or self.answer_peak

    def processor_seconds(self):
        """Processor time used so far; zero where that cannot be read."""
        try:
            with open(f"/proc/{self.process.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def round_robin(workers, rounds):
    """One pass of every worker a round, so that drift of the machine hits all alike. Returns warnings.

    A worker that ends before its time gets a reason in `failed`.
    """
    idle = waited = 0.0
    slow = {}
    for _ in range(rounds):
        for worker in [w for w in workers if not w.failed]:
            # Thread pools of the last one go to sleep first.
            time.sleep(0.1)
            others = [w for w in workers if w is not worker]
            before, start = sum(w.processor_seconds() for w in others), time.perf_counter()
            try:
                extra = worker.go()
            except Unable as reason:
                worker.failed = str(reason)
                continue
            waited += time.perf_counter() - start
            idle += sum(w.processor_seconds() for w in others) - before
            if extra > 0.02 + 0.02 * worker.seconds[-1]:
                slow[worker.name] = max(extra, slow.get(worker.name, 0.0))
    warnings = [f"{name}: a pass took {extra:.3f} s longer than the worker says" for name, extra in slow.items()]
    if idle > 0.02 * waited + 0.02 * len(workers):
        warnings.append(f"waiting contestants used {idle:.2f} s of processor time while others ran {waited:.2f} s")
    return warnings


def available_memory():
    """Bytes that can be used without swapping, as Linux estimates it; `None` elsewhere."""
    try:
        with open("/proc/meminfo") as lines:
            return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration):
        return None
