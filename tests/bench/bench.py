#!/usr/bin/env python3
"""lathe beside its peers: times, ratios, percent of peak, compile time, sizes, memory.

Everything happens in one run, in rounds: each round measures the machine, then every model with
every program, each in a fresh process pinned to its cores, and the minimum over the rounds counts.
A measurement warms up, then takes at least 20 runs and 1 second, or 2.5 seconds. Answers are
compared with onnxruntime's of the same run: one that is off by more than 1e-3 of the output's
greatest magnitude is shown as wrong, and not timed. All figures go to one JSON file; the tables are
printed from it, now or later (--table).
"""
import argparse
import json
import os
import subprocess
import sys
import time

import ablate
import models
import tables
from lathe import Failure, Run, call, compile_model
from peers import PEERS

WORK = "build/bench"
VENV = "build/bench-venv"
PYTHON = f"{VENV}/bin/python"
REFERENCE = "onnxruntime"
LOWEST = ("min_ms", "median_ms", "load_ms", "first_run_ms", "first_answer_ms", "seconds",
          "peak_rss_bytes", "own_rss_bytes")
HIGHEST = ("fma_gflops", "read_gbps")


def parse_arguments():
    def names(known):
        def split(text):
            chosen = [name for name in text.split(",") if name]
            for name in chosen:
                if name not in known:
                    raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
            return chosen
        return split

    parser = argparse.ArgumentParser(
        prog="bench.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Example: make bench ARGS="--models resnet50,lstm --threads 1 --ablate"')
    add = parser.add_argument
    add("--models", type=names(models.NAMES), default=list(models.NAMES), metavar="A,B",
        help=f"these alone, of: {', '.join(models.NAMES)}")
    add("--peers", type=names(PEERS), default=["onnxruntime", "openvino"], metavar="A,B",
        help=f"of: {', '.join(PEERS)}; installed when asked for (default: onnxruntime,openvino)")
    add("--threads", type=names([str(n) for n in range(1, 257)]), default=["1", "2"],
        metavar="N,M", help="thread counts (default: 1,2)")
    add("--cpus", type=lambda text: text.split(","), default=None, metavar="A,B",
        help="the cores: N threads run on the first N of them (default: 0,1,...)")
    add("--rounds", type=int, default=3, metavar="N", help="default: 3")
    add("--timeout", type=int, default=300, metavar="S",
        help="seconds that one measurement may take; ten times that to compile (default: 300)")
    add("--ablate", action="store_true",
        help="then build each model with one optimization off, and at -O0, -O1 and -O3: how much "
             "slower, and still correct?")
    add("--output", type=os.path.abspath, metavar="FILE",
        default=f"{models.ROOT}/{WORK}/results.json",
        help=f"the figures (default: {WORK}/results.json)")
    add("--table", action="store_true", help="print the tables from FILE and measure nothing")
    options = parser.parse_args()
    most = max(int(count) for count in options.threads)
    options.cpus = options.cpus or [str(n) for n in range(most)]
    if len(options.cpus) < most or options.rounds < 1:
        parser.error(f"{most} threads need as many --cpus, and there must be a round")
    return options


# ---- what a run needs ----

def prepare_environment(peers):
    """A Python of its own with onnxruntime and what the peers need, installed once."""
    with open("tests/models/requirements.txt", encoding="utf-8") as file:
        wanted = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    wanted += [package for peer in peers for package in PEERS[peer].packages
               if package not in wanted]
    marker = f"{VENV}/.packages"
    installed = set()
    if os.path.exists(marker):
        with open(marker, encoding="utf-8") as file:
            installed = set(file.read().split())
    missing = [package for package in wanted if package not in installed]
    if not missing:
        return
    print(f"bench: installing {' '.join(missing)} in {VENV}", flush=True)
    if not os.path.exists(f"{VENV}/bin/pip"):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    subprocess.run([f"{VENV}/bin/pip", "install", "-q", "--disable-pip-version-check", *wanted],
                   check=True)
    with open(marker, "w", encoding="utf-8") as file:
        file.write("\n".join(sorted(installed | set(wanted))))


def prepare_models(names):
    def missing(group):
        return [name for name in group
                if name in names and not os.path.exists(f"{models.SOURCE}/{name}.onnx")]
    if missing(models.REAL):
        subprocess.run(["bash", "tests/models/setup.sh"], check=True)
    made = missing(set(models.NAMES) - set(models.REAL))
    if made:
        subprocess.run([PYTHON, "tests/models/make_models.py", models.SOURCE, *made], check=True)
    subprocess.run([PYTHON, "tests/bench/models.py", f"{WORK}/models", *names], check=True)


def build_peak():
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-march=native", "-ffp-contract=fast",
                    "-pthread", "tests/bench/peak.c", "-o", f"{WORK}/peak"], check=True)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")),
                   "unknown")
    return {"cpu": cpu, "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "kernel": os.uname().release}


def busy_share():
    """How much of all cores other programs take, while this one waits for a second."""
    def ticks():
        with open("/proc/stat", encoding="ascii") as file:
            numbers = [int(word) for word in file.readline().split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]
    all_before, idle_before = ticks()
    time.sleep(1)
    all_after, idle_after = ticks()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


# ---- one run ----

class Bench:
    def __init__(self, options):
        self.options = options
        version = call(["build/bin/lathec", "--version"], 10)[0].split()[-1]
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True,
                                text=True, check=False).stdout.strip()
        self.results = {
            "date": time.strftime("%F %T"), "commit": commit, "machine": machine(),
            "versions": {"lathe": version}, "rounds_done": 0, "busy": 0, "peak": {},
            "options": {key: getattr(options, key) for key in
                        ("models", "peers", "threads", "cpus", "rounds")},
            "models": {}}
        for name in options.models:
            with open(f"{WORK}/models/{name}.json", encoding="utf-8") as file:
                facts = json.load(file)
            self.results["models"][name] = {**facts, "programs": {
                program: {"threads": {}} for program in ["lathe", *options.peers]}}

    def save(self):
        temporary = self.options.output + ".tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(self.results, file, indent=1)
        os.replace(temporary, self.options.output)

    def cpus(self, threads):
        return self.options.cpus[:int(threads)]

    def peers(self, *words, cpus=None, environment=None, timeout=None):
        """What peers.py answers."""
        out, _, _ = call([PYTHON, "tests/bench/peers.py", *words],
                         timeout or self.options.timeout, cpus, environment)
        line = next((line for line in out.splitlines() if line.startswith("RESULT ")), None)
        result = json.loads(line[len("RESULT "):]) if line else {"error": "died"}
        if "error" in result:
            raise Failure(result["error"])
        return result

    def compare(self, name, found):
        return self.peers("compare", f"{WORK}/{name}.reference.npz", found)

    def artifact(self, name, program):
        return f"{WORK}/{name}.{program}.so" if program != "lathe" else f"{WORK}/{name}.so"

    def lathe_run(self, name, threads, artifact=None, timeout=None):
        return Run(artifact or self.artifact(name, "lathe"),
                   self.results["models"][name]["inputs"], threads, self.cpus(threads),
                   timeout or self.options.timeout)

    def measure_lathe(self, name, threads, row):
        run = self.lathe_run(name, threads)
        if threads not in row.setdefault("roughly", {}):
            folder = f"{WORK}/answer"
            row["roughly"][threads] = run.answer(folder)
            row.update(self.compare(name, folder))
            if "wrong" in row:
                return {}
        found = run.measure(row["roughly"][threads])
        found["first_answer_ms"] = run.first_answer()
        return found

    def measure_peer(self, name, threads, program, row):
        found = f"{WORK}/found.npz"
        result = self.peers("measure", program, f"{WORK}/models/{name}.onnx",
                            self.artifact(name, program), threads, found, cpus=self.cpus(threads),
                            environment=PEERS[program].environment(int(threads)))
        self.results["versions"][program] = result.pop("version")
        row.update(self.compare(name, found))
        return result if "wrong" not in row else {}

    def attempt(self, name, program, what, work):
        """Does work, unless this program has failed on this model or answered wrong."""
        row = self.results["models"][name]["programs"][program]
        if "error" in row or "wrong" in row:
            return
        try:
            line = work(row)
        except Failure as failure:
            row["error"] = f"{what}: {failure}"
            line = f"failed: {failure}"
        if "wrong" in row:
            line = f"wrong answer: {row['wrong']}"
        print(f"{name:16} {program:12} {what:10} {line}", flush=True)
        self.save()

    def reference(self, name):
        """onnxruntime's answers, which all others are compared with."""
        self.peers("answer", REFERENCE, f"{WORK}/models/{name}.onnx", "-", "1",
                   f"{WORK}/{name}.reference.npz", cpus=self.cpus(1))

    def compile(self, name, program):
        model, artifact = f"{WORK}/models/{name}.onnx", self.artifact(name, program)
        limit = 10 * self.options.timeout

        def work(row):
            if program == "lathe":
                found = compile_model(model, artifact, [], limit)
            else:
                found = self.peers("compile", program, model, artifact, timeout=limit)
            keep_best(row.setdefault("compile", {}), found)
            return f"{found['seconds']:.2f} s"
        self.attempt(name, program, "compile", work)

    def time(self, name, threads, program):
        def work(row):
            if program == "lathe":
                found = self.measure_lathe(name, threads, row)
            else:
                found = self.measure_peer(name, threads, program, row)
            if not found:
                return ""
            keep_best(row["threads"].setdefault(threads, {}), found)
            return f"{found['min_ms']:.3f} ms"
        self.attempt(name, program, f"{threads} thread" + "s" * (threads != "1"), work)

    def peak(self):
        """The best so far: it is measured beside each model that is judged by it."""
        for threads in self.options.threads:
            out, _, _ = call([f"{WORK}/peak", threads], self.options.timeout, self.cpus(threads))
            keep_best(self.results["peak"].setdefault(threads, {}), json.loads(out))
        return self.results["peak"]

    def round(self, number):
        self.results["busy"] = max(self.results["busy"], busy_share())
        print(f"round {number + 1}, peak: {self.peak()}", flush=True)
        for name in self.options.models:
            programs = list(self.results["models"][name]["programs"])
            if name in tables.COMPUTE_BOUND + tables.MEMORY_BOUND:
                self.peak()
            if number == 0:
                self.reference(name)
            for program in programs:
                if program == "lathe" or (number == 0 and PEERS[program].ahead_of_time):
                    self.compile(name, program)
            turn = number % len(programs)
            for threads in self.options.threads:
                for program in programs[turn:] + programs[:turn]:
                    self.time(name, threads, program)
        self.results["rounds_done"] = number + 1
        self.save()


def keep_best(row, found):
    for key, value in found.items():
        if key in row and key in LOWEST:
            value = min(row[key], value)
        elif key in row and key in HIGHEST:
            value = max(row[key], value)
        row[key] = value


def measure_all(options):
    os.makedirs(WORK, exist_ok=True)
    prepare_environment(options.peers)
    prepare_models(options.models)
    build_peak()
    bench = Bench(options)
    bench.save()
    try:
        for number in range(options.rounds):
            bench.round(number)
        if options.ablate:
            ablate.run(bench)
    except KeyboardInterrupt:
        print("\nbench: interrupted; this is what was measured", file=sys.stderr)
    print(f"\nbench: the figures are in {options.output}\n")


def main():
    options = parse_arguments()
    os.chdir(models.ROOT)
    try:
        if not options.table:
            measure_all(options)
        with open(options.output, encoding="utf-8") as file:
            tables.print_all(json.load(file))
    except (Failure, OSError, subprocess.CalledProcessError) as failure:
        print(f"bench: error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
