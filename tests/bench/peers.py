#!/usr/bin/env python3
"""peers.py - the peers that lathe is measured beside, each in a process of its own.

    peers.py compile PEER MODEL.onnx ARTIFACT
    peers.py answer|measure PEER MODEL.onnx ARTIFACT THREADS FOUND.npz
    peers.py compare REFERENCE.npz FOUND.npz|FOLDER

bench.py starts these in the bench's environment, pinned to cores. Each prints one line, `RESULT`
and a JSON object; what fails is {"error": TEXT}. Beside MODEL.onnx lie MODEL.npz and MODEL.json
(models.py). A peer is a class with the packages it needs, how it is loaded and how it is run.
"""
import importlib
import importlib.metadata
import json
import os
import sys
import time

TOLERANCE = 1e-3  # of the greatest magnitude in each output
LONGEST, SHORTEST, FEWEST, WARMUP = 2.5, 1.0, 20, 0.5  # seconds, seconds, runs, seconds


class Peer:
    """load returns a function that runs the model once and one that fetches what a run returned,
    as arrays in the order of the model's outputs. A peer that compiles ahead of time overrides
    compile, which writes the artifact."""
    name = title = module = ""
    packages = ()
    ahead_of_time = False

    def version(self):
        return importlib.metadata.version(self.packages[0].split("==")[0])

    def environment(self, threads):
        return {}

    def compile(self, model, artifact):
        raise NotImplementedError

    def load(self, model, artifact, inputs, threads):
        raise NotImplementedError


class Onnxruntime(Peer):
    name = title = module = "onnxruntime"
    packages = ("onnxruntime==1.32.0",)

    def load(self, model, artifact, inputs, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model, options,
                                               providers=["CPUExecutionProvider"])
        values = {key: onnxruntime.OrtValue.ortvalue_from_numpy(value)
                  for key, value in inputs.items()}
        names = [output.name for output in session.get_outputs()]
        return (lambda: session.run_with_ort_values(names, values),
                lambda found: [value.numpy() for value in found])


class OpenVino(Peer):
    """In f32, as the models say: its own default on CPUs with bf16 is bf16."""
    name, title, module = "openvino", "OpenVINO", "openvino"
    packages = ("openvino==2026.4.0",)

    def load(self, model, artifact, inputs, threads):
        import numpy as np
        import openvino
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(model), "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False, "INFERENCE_PRECISION_HINT": "f32"})
        request = compiled.create_infer_request()
        for value in compiled.inputs:
            request.set_tensor(value, openvino.Tensor(inputs[value.any_name]))
        count = len(compiled.outputs)
        return (request.infer,
                lambda found: [np.array(request.get_output_tensor(i).data) for i in range(count)])


class Iree(Peer):
    name, title, module = "iree", "IREE", "iree.runtime"
    packages = ("iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0")
    ahead_of_time = True

    def compile(self, model, artifact):
        import subprocess
        tools = os.path.dirname(sys.executable)
        text = artifact + ".mlir"
        importer = [f"{tools}/iree-import-onnx", model, "-o", text, "--opset-version", "17"]
        compiler = [f"{tools}/iree-compile", text, "-o", artifact, "--iree-hal-target-device=local",
                    "--iree-hal-local-target-device-backends=llvm-cpu",
                    "--iree-llvmcpu-target-cpu=host", "--iree-opt-data-tiling=true"]
        # What a user would try: all optimizations, then the default ones.
        for words in (importer, compiler + ["--iree-opt-level=O3"], compiler):
            result = subprocess.run(words, capture_output=True, text=True)
            if result.returncode == 0 and words is not importer:
                break
            if result.returncode != 0 and words in (importer, compiler):
                raise RuntimeError(f"{os.path.basename(words[0])}: {result.stderr.strip()[-1500:]}")
        os.unlink(text)

    def load(self, model, artifact, inputs, threads):
        import iree.runtime as runtime
        if threads > 1:
            runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
        device = runtime.get_device("local-task" if threads > 1 else "local-sync")
        context = runtime.SystemContext(config=runtime.Config(device=device))
        module = runtime.VmModule.mmap(context.instance, artifact)
        context.add_vm_module(module)
        name = next(name for name in module.function_names
                    if not name.startswith("__") and not name.endswith("$async"))
        function = context.modules[module.name][name]
        values = [runtime.asdevicearray(device, value) for value in inputs.values()]

        def fetch(found):
            found = found if isinstance(found, (list, tuple)) else [found]
            return [value.to_host() for value in found]
        return lambda: function(*values), fetch


class Tvm(Peer):
    """Relax's default pipeline for CPUs, without tuning."""
    name, title, module = "tvm", "TVM", "tvm.relax"
    packages = ("apache-tvm==0.27.0.post1",)
    ahead_of_time = True

    def environment(self, threads):
        return {"TVM_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads),
                "TVM_BIND_THREADS": "0"}

    def compile(self, model, artifact):
        import onnx
        import tvm
        from tvm import relax
        from tvm.relax.frontend.onnx import from_onnx
        module = from_onnx(onnx.load(model))
        target = tvm.target.Target.from_device("cpu")
        with target, tvm.transform.PassContext(opt_level=3):
            module = relax.get_pipeline("zero")(module)
            built = tvm.compile(module, target=target)
        built.export_library(artifact)

    def load(self, model, artifact, inputs, threads):
        import tvm
        from tvm import relax
        machine = relax.VirtualMachine(tvm.runtime.load_module(artifact), tvm.cpu())
        values = [tvm.runtime.tensor(value) for value in inputs.values()]
        function = machine["main"]
        return (lambda: function(*values),
                lambda found: [value.numpy() for value in
                               ([found] if hasattr(found, "numpy") else found)])


PEERS = {peer.name: peer for peer in (Onnxruntime(), OpenVino(), Iree(), Tvm())}


# ---- measuring ----

def peak_memory():
    """Of this process, in bytes. Not ru_maxrss: that one outlives exec."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def time_budget(seconds):
    """(how often to warm up, how long to measure) for runs of so many seconds: at least FEWEST runs
    and SHORTEST seconds, or LONGEST."""
    warmups = max(2, min(FEWEST, int(WARMUP / max(seconds, 1e-6))))
    return warmups, max(SHORTEST, min(LONGEST, FEWEST * seconds))


def timed(run):
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def time_runs(run):
    warmups, duration = time_budget(timed(run)[0])
    for _ in range(warmups):
        run()
    times, start = [], time.perf_counter()
    while not times or time.perf_counter() - start < duration:
        times.append(timed(run)[0])
    times.sort()
    return {"min_ms": times[0] * 1e3, "median_ms": times[len(times) // 2] * 1e3,
            "runs": len(times)}


def answer(name, model, artifact, threads, found):
    """Writes what the first run answers. Returns what loading and that run took, the function that
    runs the model, and the memory that was in use before."""
    import numpy as np
    peer, threads = PEERS[name], int(threads)
    stem = os.path.splitext(model)[0]
    inputs = dict(np.load(f"{stem}.npz"))
    with open(f"{stem}.json", encoding="utf-8") as file:
        outputs = json.load(file)["outputs"]
    before = peak_memory()
    importlib.import_module(peer.module)  # not a part of loading a model
    load_seconds, (run, fetch) = timed(lambda: peer.load(model, artifact, inputs, threads))
    first_seconds, first = timed(run)
    np.savez(found, **dict(zip(outputs, fetch(first))))
    return {"version": peer.version(), "load_ms": load_seconds * 1e3,
            "first_run_ms": first_seconds * 1e3}, run, before


def measure(*words):
    result, run, before = answer(*words)
    result.update(time_runs(run))
    memory = peak_memory()
    return {**result, "peak_rss_bytes": memory, "own_rss_bytes": memory - before}


def compile_ahead(name, model, artifact):
    import resource
    peer = PEERS[name]
    seconds, _ = timed(lambda: peer.compile(model, artifact))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"seconds": seconds, "peak_rss_bytes": max(children, peak_memory()),
            "artifact_bytes": os.path.getsize(artifact)}


# ---- comparing ----

def difference(wanted, found):
    """The greatest difference, as a part of the greatest magnitude wanted; None: not comparable."""
    import numpy as np
    if found is None or wanted.size != found.size:
        return None
    wanted = wanted.astype(np.float64).ravel()
    found = found.astype(np.float64).ravel()
    if not np.isfinite(found).all():
        return None
    return float(np.abs(wanted - found).max() / max(np.abs(wanted).max(), 1e-30))


def compare(reference, found):
    import numpy as np
    wanted = np.load(reference)
    if os.path.isdir(found):
        paths = {name: f"{found}/{name.replace('/', '_')}.npy" for name in wanted.files}
        values = {name: np.load(path) for name, path in paths.items() if os.path.exists(path)}
    else:
        values = np.load(found)
    worst = 0.0
    for name in wanted.files:
        error = difference(wanted[name], values[name] if name in values else None)
        if error is None:
            return {"worst": None, "wrong": f"{name}: another shape, or not finite"}
        if error > TOLERANCE:
            return {"worst": error, "wrong": f"{name}: off by {error:.2g}"}
        worst = max(worst, error)
    return {"worst": worst}


def main():
    commands = {"compile": (compile_ahead, 3), "measure": (measure, 5), "compare": (compare, 2),
                "answer": (lambda *words: answer(*words)[0], 5)}
    words = sys.argv[1:]
    if not words or words[0] not in commands or len(words) - 1 != commands[words[0]][1]:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        result = commands[words[0]][0](*words[1:])
    except Exception as error:  # whatever a peer does, it is reported, and the others go on
        result = {"error": f"{type(error).__name__}: {str(error)[:3000]}"}
    print("RESULT " + json.dumps(result), flush=True)
    os._exit(0)  # some peers crash while they are taken down


if __name__ == "__main__":
    sys.exit(main())
