"""ablate.py - every optimization switched off in turn: what it is worth, measured.

Each model is built as usual and in variants: -O0, -O1 and -O3, and without each pass that lathec
can leave out. The variants run interleaved with the usual build, with the fewest threads asked for;
a variant that needs more than LIMIT seconds is not waited for.
"""
import os

from lathe import LATHEC, Failure, call, compile_model

NEEDED = ("infer", "lower", "plan-memory")  # not optimizations: nothing comes out without them
LEVELS = ("-O0", "-O1", "-O3")
LIMIT, SHORTEST = 120, 0.5  # seconds


def variants():
    """(name, options) of each."""
    lines = call([LATHEC, "--list-passes"], 10)[0].splitlines()
    passes = [line.split()[0] for line in lines if line.strip()]
    return ([("usual", [])] + [(level, [level]) for level in LEVELS] +
            [(f"no {name}", ["--disable", name]) for name in passes if name not in NEEDED])


def build(bench, name, options, artifact, run):
    """How the variant's answer compares, and what building it took."""
    row = {"compile": compile_model(f"build/bench/models/{name}.onnx", artifact, options,
                                    10 * bench.options.timeout)}
    folder = "build/bench/answer"
    row["roughly"] = run.answer(folder)
    row.update(bench.compare(name, folder))
    return row


def ablate_model(bench, name, threads):
    rows, runs = {}, {}
    for number, (variant, options) in enumerate(variants()):
        artifact = f"build/bench/{name}.{number}.so"
        runs[variant] = bench.lathe_run(name, threads, artifact, LIMIT)
        try:
            rows[variant] = build(bench, name, options, artifact, runs[variant])
        except Failure as failure:
            rows[variant] = {"error": str(failure)}
    for _ in range(bench.options.rounds):
        for variant, row in rows.items():
            if "error" in row or "wrong" in row:
                continue
            try:
                found = runs[variant].measure(row["roughly"], SHORTEST)
            except Failure as failure:
                row["error"] = str(failure)
                continue
            row["min_ms"] = min(row.get("min_ms", found["min_ms"]), found["min_ms"])
            row["arena_bytes"] = found["arena_bytes"]
    for number in range(len(rows)):
        if os.path.exists(f"build/bench/{name}.{number}.so"):
            os.unlink(f"build/bench/{name}.{number}.so")
    return rows


def run(bench):
    threads = min(bench.options.threads, key=int)
    bench.results["ablation"] = {"threads": threads, "models": {}}
    for name in bench.options.models:
        rows = ablate_model(bench, name, threads)
        bench.results["ablation"]["models"][name] = rows
        usual = rows["usual"].get("min_ms")
        for variant, row in rows.items():
            said = row.get("error") or row.get("wrong")
            if not said:
                said = f"{row['min_ms']:.3f} ms"
                said += f", {row['min_ms'] / usual:.2f} times" if usual else ""
            print(f"{name:16} {variant:14} {said}", flush=True)
        bench.save()
