"""tables.py - the tables of a benchmark, in markdown, from its JSON."""
from math import exp, log

from peers import PEERS

BEST_OF = ("onnxruntime", "openvino")
COMPUTE_BOUND = ("bert_base", "gpt2_prefill64", "mlp", "gemm_1024")
MEMORY_BOUND = ("gpt2_step64",)
TITLES = {"lathe": "lathe", **{name: peer.title for name, peer in PEERS.items()}}
DASH = "-"
BUSY = 0.1  # the share of the cores from which other programs are in the way


def number(value):
    """About three significant digits."""
    if value is None:
        return DASH
    size = abs(value)
    return f"{value:.{3 if size < 1 else 2 if size < 10 else 1 if size < 100 else 0}f}"


def megabytes(value):
    return number(None if value is None else value * 1e-6)


def print_table(title, heads, rows):
    if not rows:
        return
    print(f"\n### {title}\n\n| {' | '.join(heads)} |\n|{'|'.join('---' for _ in heads)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def minimum(program, threads):
    return program.get("threads", {}).get(threads, {}).get("min_ms")


def time_cell(program, threads):
    if "wrong" in program:
        return "wrong"
    return number(minimum(program, threads))


def ratio(model, threads):
    """lathe's time by the better peer's; None if either is missing."""
    ours = minimum(model["programs"]["lathe"], threads)
    theirs = [minimum(model["programs"].get(name, {}), threads) for name in BEST_OF]
    theirs = [value for value in theirs if value is not None]
    return ours / min(theirs) if ours is not None and theirs else None


def times(results, threads):
    programs = ["lathe", *results["options"]["peers"]]
    rows, ratios = [], []
    for name, model in results["models"].items():
        value = ratio(model, threads)
        ratios += [value] if value is not None else []
        cells = [time_cell(model["programs"][program], threads) for program in programs]
        rows.append([name, *cells, DASH if value is None else f"{value:.2f}"])
    if ratios:
        mean = exp(sum(map(log, ratios)) / len(ratios))
        rows.append([f"geometric mean of {len(ratios)}", *["" for _ in programs], f"{mean:.2f}"])
    heads = ["model", *[f"{TITLES[program]}, ms" for program in programs], "lathe / better"]
    print_table(f"Time of one run, threads: {threads}", heads, rows)


def parts_of_peak(results):
    programs = ["lathe", *results["options"]["peers"]]
    rows = []
    for threads in results["options"]["threads"]:
        peak = results["peak"].get(threads, {})
        for names, cost, rate, unit in (
                (COMPUTE_BOUND, "gflop", "fma_gflops", "GFLOP/s"),
                (MEMORY_BOUND, "read_mb", "read_gbps", "GB/s")):
            for name in names:
                model = results["models"].get(name)
                if model is None or rate not in peak or not model[cost]:
                    continue
                # 10^9 operations or 10^6 bytes; so much of either that 1 ms at the peak does
                most = peak[rate] * (1e-3 if cost == "gflop" else 1)
                spent = [minimum(model["programs"][program], threads) for program in programs]
                rows.append([name, threads, f"{number(peak[rate])} {unit}"] +
                            [DASH if ms is None else f"{model[cost] / ms / most:.0%}"
                             for ms in spent])
    print_table("Part of what the machine can do: multiply-adds, or reading memory",
                ["model", "threads", "peak", *[TITLES[program] for program in programs]], rows)


def costs(results):
    threads = min(results["options"]["threads"], key=int)
    rows = []
    for name, model in results["models"].items():
        row = model["programs"]["lathe"]
        built, run = row.get("compile", {}), row.get("threads", {}).get(threads, {})
        rest = open_first = None
        if run:
            rest = run["peak_rss_bytes"] - run["weights_bytes"] - run["arena_bytes"]
            open_first = (run["load_ms"] + run["first_run_ms"]) / run["min_ms"]
        rows.append([name, number(built.get("seconds")), megabytes(built.get("peak_rss_bytes")),
                     megabytes(built.get("artifact_bytes")), megabytes(run.get("weights_bytes")),
                     megabytes(run.get("arena_bytes")), megabytes(run.get("peak_rss_bytes")),
                     megabytes(rest), number(run.get("load_ms")), number(open_first),
                     number(run.get("first_answer_ms")),
                     DASH if row.get("worst") is None else f"{row['worst']:.0e}"])
    print_table(f"What lathe costs besides (MB; inputs and outputs are resident too; threads: "
                f"{threads})", [
                    "model", "compile, s", "compile's peak", "artifact", "weights", "arena",
                    "resident", "resident - weights - arena", "open, ms",
                    "(open + first run) / run", "exec to first answer, ms", "greatest error"],
                rows)


def peer_costs(results):
    threads = min(results["options"]["threads"], key=int)
    peers = results["options"]["peers"]
    rows = []
    for name, model in results["models"].items():
        cells = []
        for peer in peers:
            row = model["programs"][peer]
            built, run = row.get("compile", {}), row.get("threads", {}).get(threads, {})
            load = [run.get("load_ms"), run.get("first_run_ms")]
            cells += [number(sum(load) if None not in load else None),
                      megabytes(run.get("own_rss_bytes"))]
            if PEERS[peer].ahead_of_time:
                cells += [number(built.get("seconds")), megabytes(built.get("peak_rss_bytes"))]
        rows.append([name, *cells])
    heads = ["model"]
    for peer in peers:
        heads += [f"{TITLES[peer]}: load + first run, ms", "resident, MB"]
        heads += ["compile, s", "compile's peak, MB"] if PEERS[peer].ahead_of_time else []
    print_table("What the peers cost besides (resident: less Python and the inputs)", heads, rows)


def ablation_cell(row, usual, key, unit):
    """What the variant takes, by what the usual build takes; the usual build's own in its row."""
    if "wrong" in row:
        return "wrong"
    if row.get(key) is None:
        return "too slow" if "more than" in row.get("error", "") else DASH
    if row is usual or not usual.get(key):
        return unit(row[key])
    return f"{row[key] / usual[key]:.2f}"


def ablation(results):
    found = results.get("ablation", {"models": {}})
    names = list(found["models"])
    variants = list(found["models"][names[0]]) if names else []
    for title, key, unit in (("Time", "min_ms", lambda ms: f"{number(ms)} ms"),
                             ("Arena", "arena_bytes", lambda size: f"{megabytes(size)} MB")):
        rows = [[variant, *[ablation_cell(found["models"][name].get(variant, {}),
                                          found["models"][name]["usual"], key, unit)
                            for name in names]] for variant in variants]
        print_table(f"{title} with one optimization off, by the usual build's", ["build", *names],
                    rows)


def failures(results):
    said = [f"- {name}, {TITLES[program]}: {row.get('error') or row['wrong']}"
            for name, model in results["models"].items()
            for program, row in model["programs"].items() if "error" in row or "wrong" in row]
    said += [f"- {name}, lathe {variant}: {row.get('error') or row['wrong']}"
             for name, rows in results.get("ablation", {"models": {}})["models"].items()
             for variant, row in rows.items() if "error" in row or "wrong" in row]
    if said:
        print("\n### What failed\n")
        print("\n".join(" ".join(line[:300].split()) for line in said))


def print_all(results):
    versions = ", ".join(f"{TITLES[name]} {version}"
                         for name, version in results["versions"].items())
    machine = results["machine"]
    print(f"{machine['cpu']}, {machine['cores']} cores; {results['date']}; rounds: "
          f"{results['rounds_done']}; {versions}; commit {results['commit']}")
    if results["busy"] > BUSY:
        print(f"\nOther programs took {results['busy']:.0%} of the cores: the figures are rough.")
    for threads in results["options"]["threads"]:
        times(results, threads)
    parts_of_peak(results)
    costs(results)
    peer_costs(results)
    ablation(results)
    failures(results)
