#!/bin/bash
# bench.sh - what lathe takes beside its peer, and gemm_1024 beside what the machine can do; one table.
set -eu
cd "$(dirname "$0")/.."

models=${MODELS:-gemm_1024 resnet50 mobilenet_v2 bert_base unet lstm mlp}
threads=${THREADS:-1 2}
mkdir -p build/bench
[ -f build/models/mlp.npz ] || make models

printf '%-16s %10s %14s\n' model 'compile s' 'peak memory MB'
for model in $models; do
	/usr/bin/env python3 - "$model" <<'PYTHON'
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(["build/bin/lathec", f"build/models/{sys.argv[1]}.onnx", "-o", f"build/bench/{sys.argv[1]}.so"],
               check=True)
print(f"{sys.argv[1]:<16} {time.perf_counter() - start:>10.2f}"
      f" {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:>14.0f}")
PYTHON
done
echo
for count in $threads; do
	build/venv/bin/python tests/bench/peers.py "$count" $models
done

echo
${CC:-cc} -O2 -march=native -ffp-contract=fast tests/bench/peak.c -o build/bench/peak
build/venv/bin/python - <<'PYTHON'
import json, subprocess
peak = rate = 0.0
for _ in range(5):
    peak = max(peak, float(subprocess.run(["taskset", "-c", "0", "build/bench/peak"], capture_output=True).stdout))
    run = subprocess.run(["taskset", "-c", "0", "build/bin/lathe-run", "build/bench/gemm_1024.so", "--json",
                          "--threads", "1", "--repeat", "20"], capture_output=True)
    rate = max(rate, 2 * 1024 ** 3 / json.loads(run.stdout)["min_ms"] * 1e-6)
print(f"gemm_1024, one core: {rate:.1f} GFLOP/s of {peak:.1f} (FMA peak): {rate / peak:.0%}")
PYTHON
