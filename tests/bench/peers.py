#!/usr/bin/env python3
"""peers.py THREADS MODEL... - lathe beside onnxruntime, in one interleaved run.

Rounds alternate between the two, each takes the best of a few runs, and the best round counts: on a
shared machine the minimum is what the code can do. Models are build/models/NAME.onnx with inputs in
NAME.npz; artifacts are build/bench/NAME.so (tools/bench.sh makes them).
"""
import json
import subprocess
import sys
import time

import numpy as np
import onnxruntime

ROUNDS, RUNS = 6, 5


def peer_session(name, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(f"build/models/{name}.onnx", options,
                                        providers=["CPUExecutionProvider"])


def peer_seconds(session, feed):
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, feed)
        best = min(best, time.perf_counter() - start)
    return best


def lathe_seconds(name, threads):
    words = ["build/bin/lathe-run", f"build/bench/{name}.so", "--json", "--threads", str(threads),
             "--repeat", str(RUNS)]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)["min_ms"] / 1e3


def main():
    threads = int(sys.argv[1])
    print(f"{'model':<16}{'threads':>8}{'lathe ms':>12}{'onnxruntime ms':>16}{'ratio':>8}")
    for name in sys.argv[2:]:
        session = peer_session(name, threads)
        data = np.load(f"build/models/{name}.npz")
        feed = {i.name: data[i.name] for i in session.get_inputs()}
        ours = theirs = float("inf")
        for _ in range(ROUNDS):
            theirs = min(theirs, peer_seconds(session, feed))
            ours = min(ours, lathe_seconds(name, threads))
        print(f"{name:<16}{threads:>8}{ours * 1e3:>12.2f}{theirs * 1e3:>16.2f}{ours / theirs:>8.2f}",
              flush=True)


if __name__ == "__main__":
    main()
