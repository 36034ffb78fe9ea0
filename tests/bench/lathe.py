"""lathe.py - lathe as the benchmark measures it: through its own tools, as a user runs them."""
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

from peers import time_budget

LATHEC, LATHE_RUN = "build/bin/lathec", "build/bin/lathe-run"
FIRST_ANSWERS = 5


class Failure(Exception):
    """What a program said when it failed, or that it took too long."""


def call(words, timeout, cpus=None, environment=None):
    """Runs words, on these cores alone; (standard output, seconds, peak memory in bytes)."""
    command = ["taskset", "-c", ",".join(cpus)] + words if cpus else words
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors,
                                   env={**os.environ, **(environment or {})})
        late = threading.Timer(timeout, process.kill)
        late.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        late.cancel()
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            said = "; ".join(errors.read().strip().splitlines()[-4:])[:3000]
            if seconds >= timeout:
                said = f"more than {timeout} s"
            raise Failure(f"{os.path.basename(words[0])}: {said or process.returncode}")
        return out.read(), seconds, usage.ru_maxrss * 1024


def compile_model(model, artifact, options, timeout):
    _, seconds, memory = call([LATHEC, model, "-o", artifact, "--quiet", *options], timeout)
    return {"seconds": seconds, "peak_rss_bytes": memory,
            "artifact_bytes": os.path.getsize(artifact)}


class Run:
    """An artifact on the inputs of its model, with so many threads."""

    def __init__(self, artifact, inputs, threads, cpus, timeout):
        self.words = [LATHE_RUN, artifact, "--threads", str(threads)]
        for name, file in inputs:
            self.words += ["--input", f"{name}={file}"]
        self.cpus, self.timeout = cpus, timeout

    def call(self, *options):
        return call(self.words + list(options), self.timeout, self.cpus)

    def report(self, *options):
        return json.loads(self.call("--json", *options)[0])

    def answer(self, folder):
        """Writes the outputs into an empty folder; the seconds that a run takes, roughly."""
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        report = self.report("--output-dir", folder, "--warmup", "0", "--repeat", "1")
        return min(report["first_run_ms"], report["min_ms"]) * 1e-3

    def measure(self, seconds, shortest=None):
        """seconds: what a run takes, roughly."""
        warmups, duration = time_budget(seconds)
        if shortest:
            warmups, duration = min(warmups, 3), shortest
        report = self.report("--warmup", str(warmups), "--seconds", f"{duration:.3f}")
        kept = ("load_ms", "first_run_ms", "min_ms", "median_ms", "runs", "arena_bytes",
                "weights_bytes", "peak_rss_bytes")
        return {key: report[key] for key in kept}

    def first_answer(self):
        """From exec to the end of a process that answers once, the best of some, in ms."""
        return min(self.call()[1] for _ in range(FIRST_ANSWERS)) * 1e3
