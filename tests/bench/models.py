#!/usr/bin/env python3
"""models.py OUTDIR NAME... - makes models ready for the benchmark; run in the bench's environment.

For each NAME, reads build/models/NAME.onnx (make_models.py and setup.sh of tests/models put it
there) and writes

    OUTDIR/NAME.onnx    the model, its symbolic dims fixed to the inputs' sizes
    OUTDIR/NAME.npz     the inputs
    OUTDIR/NAME/I.npy   the same, one file each: what lathe-run reads
    OUTDIR/NAME.json    input and output names; gflop: multiply-adds x 2, in 10^9;
                        read_mb: weights and inputs that a run must read, in 10^6 bytes
"""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = "build/models"
REAL = ("magika", "rapidocr_det", "rapidocr_cls", "rapidocr_rec")
NAMES = ("resnet50", "mobilenet_v2", "unet", "bert_base", "gpt2_prefill64", "gpt2_step64", "lstm",
         "mlp", "gemm_1024", "conv_3x3", "dwconv", *REAL)


def real_inputs(name):
    """What the model's own program would give it: one file; one small page of 320 x 320 pixels;
    one line of text, at the size that rapidocr resizes every line to."""
    import expected
    if name == "magika":
        return next(expected.magika_cases())[1]
    if name == "rapidocr_det":
        lines = [("LATHE", 24, 30, 40), ("2744", 70, 120, 36), ("HAT MEN", 20, 220, 34)]
        return expected.batch_of(expected.page(320, 320, lines))
    if name == "rapidocr_cls":
        return expected.line_batch(192, "LATHE")
    return expected.line_batch(320, "LATHE 2")


def fix_dims(model, inputs):
    """Every dim of the inputs becomes a number, and what was known only in their terms is inferred
    again. True if there was a symbolic one."""
    import onnx
    weights = {tensor.name for tensor in model.graph.initializer}
    dims = [(dim, size) for value in model.graph.input if value.name not in weights
            for dim, size in zip(value.type.tensor_type.shape.dim, inputs[value.name].shape)]
    if all(dim.HasField("dim_value") for dim, _ in dims):
        return model, False
    for dim, size in dims:
        dim.dim_value = size
    del model.graph.value_info[:]
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    return onnx.shape_inference.infer_shapes(model, data_prop=True), True


# ---- what a model costs at least ----

def shapes_of(graph):
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = [dim.dim_value for dim in dims]
    return shapes


def multiply_adds(node, shapes):
    """Of one node; KeyError if a shape it needs is not known."""
    from math import prod
    kind = node.op_type
    if kind == "Conv":
        return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
    if kind == "ConvTranspose":
        return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])
    if kind == "MatMul":
        return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    if kind == "Gemm":
        turned = any(a.name == "transA" and a.i for a in node.attribute)
        return prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if turned else 1]
    if kind == "LSTM":
        steps, batch, _ = shapes[node.input[0]]
        return steps * batch * (prod(shapes[node.input[1]]) + prod(shapes[node.input[2]]))
    return 0


def gflop(model):
    import onnx
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = shapes_of(graph)
    try:
        return sum(multiply_adds(node, shapes) for node in graph.node) * 2e-9
    except KeyError:
        return None


def read_mb(model, inputs):
    """A table that is only gathered from is not counted: few of its rows are read."""
    used = {name for node in model.graph.node for place, name in enumerate(node.input)
            if not (node.op_type == "Gather" and place == 0)}
    sizes = [len(tensor.raw_data) for tensor in model.graph.initializer if tensor.name in used]
    return (sum(sizes) + sum(value.nbytes for value in inputs.values())) * 1e-6


# ---- all ----

def prepare(outdir, name):
    import numpy as np
    import onnx
    source, target = f"{SOURCE}/{name}.onnx", f"{outdir}/{name}.onnx"
    inputs = real_inputs(name) if name in REAL else dict(np.load(f"{SOURCE}/{name}.npz"))
    inputs = {key: np.ascontiguousarray(value) for key, value in inputs.items()}
    model, changed = fix_dims(onnx.load(source), inputs)
    if os.path.lexists(target):
        os.unlink(target)
    if changed:
        onnx.save(model, target)
    else:
        os.symlink(os.path.realpath(source), target)
    os.makedirs(f"{outdir}/{name}", exist_ok=True)
    files = []
    for number, (key, value) in enumerate(inputs.items()):
        files.append([key, f"{outdir}/{name}/{number}.npy"])
        np.save(files[-1][1], value)
    np.savez(f"{outdir}/{name}.npz", **inputs)
    facts = {"inputs": files, "outputs": [value.name for value in model.graph.output],
             "shapes": {key: list(value.shape) for key, value in inputs.items()},
             "gflop": gflop(model), "read_mb": read_mb(model, inputs)}
    with open(f"{outdir}/{name}.json", "w", encoding="utf-8") as file:
        json.dump(facts, file)


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    sys.path.insert(0, f"{ROOT}/tests/models")
    os.chdir(ROOT)
    outdir = sys.argv[1]
    os.makedirs(outdir, exist_ok=True)
    for name in sys.argv[2:]:
        prepare(outdir, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
