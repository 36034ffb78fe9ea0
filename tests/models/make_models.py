#!/usr/bin/env python3
"""make_models.py OUTDIR [NAME...]

Writes test models (ONNX, opset 17, seeded random weights) as OUTDIR/NAME.onnx, and their inputs as
OUTDIR/NAME.npz. The architectures are the published ones; only the weights are random, scaled so
that activations stay finite. A model that is already there is left alone.
"""
import math
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """A small graph builder: every method that adds a node returns the name of its output."""

    def __init__(self, name, seed):
        self.name = name
        self.nodes, self.inits, self.inputs, self.outputs = [], [], [], []
        self.rng = np.random.default_rng(seed)
        self.count = 0
        self.consts = {}
        self.data = {}

    def fresh(self, base):
        self.count += 1
        return f"{base}_{self.count}"

    def init(self, array, base="w"):
        """An initializer."""
        name = self.fresh(base)
        array = np.ascontiguousarray(array, dtype=np.float32)
        self.inits.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape, scale=None, base="w"):
        """A random initializer; by default scaled by 1 / sqrt(fan in)."""
        if scale is None:
            scale = 1.0 / math.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 1)
        values = self.rng.standard_normal(shape, dtype=np.float32)
        return self.init(values * np.float32(scale), base)

    def const(self, value, dtype=np.float32):
        """A Constant node, as an exporter without folding leaves it; equal ones are shared."""
        array = np.array(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.consts:
            name = self.fresh("const")
            tensor = numpy_helper.from_array(array, name + "_v")
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
            self.consts[key] = name
        return self.consts[key]

    def ints(self, *value):
        return self.const(value, np.int64)

    def op(self, kind, *inputs, outs=1, **attributes):
        names = [self.fresh(kind) for _ in range(outs)]
        node_name = self.fresh("n_" + kind)
        self.nodes.append(helper.make_node(kind, inputs, names, name=node_name, **attributes))
        return names[0] if outs == 1 else names

    def input(self, name, shape, dtype=TensorProto.FLOAT, data=None):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        if data is None:
            data = self.rng.standard_normal(shape).astype(np.float32)
        self.data[name] = data
        return name

    def output(self, source, name, shape):
        """Names the producer's output directly if nothing else reads it, else adds an Identity."""
        read = any(source in node.input for node in self.nodes)
        maker = next((node for node in self.nodes if source in node.output), None)
        if maker is not None and not read:
            maker.output[list(maker.output).index(source)] = name
        else:
            self.nodes.append(helper.make_node("Identity", [source], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def save(self, outdir):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.inits)
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="lathe-bench")
        model.ir_version = 8
        model = onnx.shape_inference.infer_shapes(model)
        np.savez(f"{outdir}/{self.name}.npz", **self.data)
        onnx.save(model, f"{outdir}/{self.name}.onnx.tmp")
        os.replace(f"{outdir}/{self.name}.onnx.tmp", f"{outdir}/{self.name}.onnx")


# ---- vision ----

def conv(g, x, cin, cout, k, stride=1, group=1, bias=False):
    fan = cin // group * k * k
    inputs = [x, g.weight(cout, cin // group, k, k, scale=math.sqrt(2.0 / fan), base="conv_w")]
    if bias:
        inputs.append(g.weight(cout, scale=0.05, base="conv_b"))
    return g.op("Conv", *inputs, dilations=[1, 1], group=group, kernel_shape=[k, k],
                pads=[k // 2] * 4, strides=[stride, stride])


def batchnorm(g, x, c, gamma=1.0):
    def noise():
        return g.rng.standard_normal(c)
    scale = g.init(gamma * (1 + 0.1 * noise()), "bn_g")
    shift = g.init(0.05 * noise(), "bn_b")
    mean = g.init(0.05 * noise(), "bn_m")
    var = g.init(1 + 0.1 * np.abs(noise()), "bn_v")
    return g.op("BatchNormalization", x, scale, shift, mean, var, epsilon=1e-5, momentum=0.9)


def conv_bn_relu(g, x, cin, cout, k, stride=1):
    return g.op("Relu", batchnorm(g, conv(g, x, cin, cout, k, stride), cout))


def resnet50(batch=1):
    g = Graph("resnet50" if batch == 1 else f"resnet50_b{batch}", 50)
    x = g.input("input", [batch, 3, 224, 224])
    x = conv_bn_relu(g, x, 3, 64, 7, 2)
    x = g.op("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2], ceil_mode=0)
    cin = 64
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        cout = width * 4
        for block in range(blocks):
            stride = first if block == 0 else 1
            y = conv_bn_relu(g, x, cin, width, 1)
            y = conv_bn_relu(g, y, width, width, 3, stride)  # v1.5: the stride is on the 3x3
            y = batchnorm(g, conv(g, y, width, cout, 1), cout, gamma=0.3)
            skip = x
            if block == 0:
                skip = batchnorm(g, conv(g, x, cin, cout, 1, stride), cout, gamma=0.7)
            x = g.op("Relu", g.op("Add", y, skip))
            cin = cout
    x = g.op("GlobalAveragePool", x)
    x = g.op("Flatten", x, axis=1)
    x = g.op("Gemm", x, g.weight(1000, 2048), g.weight(1000, scale=0.01),
             alpha=1.0, beta=1.0, transB=1)
    g.output(x, "output", [batch, 1000])
    return g


def mobilenet_v2():
    g = Graph("mobilenet_v2", 2)
    x = g.input("input", [1, 3, 224, 224])

    def relu6(y):
        return g.op("Clip", y, g.const(0.0), g.const(6.0))

    x = relu6(batchnorm(g, conv(g, x, 3, 32, 3, 2), 32))
    cin = 32
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1))
    for expand, cout, blocks, first in stages:
        for block in range(blocks):
            stride = first if block == 0 else 1
            hidden = cin * expand
            y = x
            if expand != 1:
                y = relu6(batchnorm(g, conv(g, y, cin, hidden, 1), hidden))
            y = relu6(batchnorm(g, conv(g, y, hidden, hidden, 3, stride, group=hidden), hidden))
            y = batchnorm(g, conv(g, y, hidden, cout, 1), cout, gamma=0.7)
            x = g.op("Add", x, y) if stride == 1 and cin == cout else y
            cin = cout
    x = relu6(batchnorm(g, conv(g, x, 320, 1280, 1), 1280))
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    x = g.op("Gemm", x, g.weight(1000, 1280), g.weight(1000, scale=0.01), transB=1)
    g.output(x, "output", [1, 1000])
    return g


def unet(size=128, base=32):
    """4 levels; two up steps are ConvTranspose, one Resize(linear) + Conv: real U-Nets vary."""
    g = Graph("unet", 7)
    x = g.input("input", [1, 3, size, size])

    def double(x, cin, cout):
        return conv_bn_relu(g, conv_bn_relu(g, x, cin, cout, 3), cout, cout, 3)

    skips, cin = [], 3
    for level in range(3):
        cout = base << level
        x = double(x, cin, cout)
        skips.append(x)
        x = g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        cin = cout
    x = double(x, cin, base << 3)
    cin = base << 3
    for level in (2, 1, 0):
        cout = base << level
        if level == 1:
            x = g.op("Resize", x, "", g.const([1, 1, 2, 2]), mode="linear",
                     coordinate_transformation_mode="half_pixel")
            x = conv(g, x, cin, cout, 1, bias=True)
        else:
            weight = g.weight(cin, cout, 2, 2, scale=math.sqrt(1.0 / cin))
            x = g.op("ConvTranspose", x, weight, g.weight(cout, scale=0.01), kernel_shape=[2, 2],
                     strides=[2, 2], pads=[0] * 4, dilations=[1, 1], group=1)
        x = double(g.op("Concat", skips[level], x, axis=1), cout * 2, cout)
        cin = cout
    x = g.op("Sigmoid", conv(g, x, base, 2, 1, bias=True))
    g.output(x, "output", [1, 2, size, size])
    return g


# ---- transformers ----

def layernorm(g, x, d, eps=1e-12):
    """The decomposition PyTorch exported before opset 17's LayerNormalization."""
    mean = g.op("ReduceMean", x, axes=[-1], keepdims=1)
    c = g.op("Sub", x, mean)
    var = g.op("ReduceMean", g.op("Pow", c, g.const(2.0)), axes=[-1], keepdims=1)
    y = g.op("Div", c, g.op("Sqrt", g.op("Add", var, g.const(eps))))
    y = g.op("Mul", y, g.init(1 + 0.1 * g.rng.standard_normal(d), "ln_g"))
    return g.op("Add", y, g.init(0.02 * g.rng.standard_normal(d), "ln_b"))


def linear(g, x, cin, cout):
    y = g.op("MatMul", x, g.weight(cin, cout, scale=1 / math.sqrt(cin), base="mm_w"))
    return g.op("Add", g.weight(cout, scale=0.02, base="mm_b"), y)


def bert_base(name="bert_base", layers=12, d=768, heads=12, seq=128, vocab=30522):
    g = Graph(name, 12)
    dh = d // heads
    shape = [1, seq]
    ids = g.input("input_ids", shape, TensorProto.INT64, g.rng.integers(0, vocab, shape))
    ones = np.ones(shape, np.int64)
    ones[:, seq - 16:] = 0
    mask = g.input("attention_mask", shape, TensorProto.INT64, ones)
    types = g.input("token_type_ids", shape, TensorProto.INT64, np.zeros(shape, np.int64))

    mask = g.op("Cast", g.op("Unsqueeze", mask, g.ints(1, 2)), to=TensorProto.FLOAT)
    mask = g.op("Mul", g.op("Sub", g.const(1.0), mask), g.const(-10000.0))
    words = g.op("Gather", g.weight(vocab, d, scale=0.05), ids)
    x = g.op("Add", words, g.op("Gather", g.weight(2, d, scale=0.05), types))
    x = g.op("Add", x, g.weight(1, seq, d, scale=0.05))
    x = layernorm(g, x, d)
    for _ in range(layers):
        q, k, v = (linear(g, x, d, d) for _ in range(3))
        split = g.ints(1, seq, heads, dh)
        q = g.op("Transpose", g.op("Reshape", q, split), perm=[0, 2, 1, 3])
        k = g.op("Transpose", g.op("Reshape", k, split), perm=[0, 2, 3, 1])
        v = g.op("Transpose", g.op("Reshape", v, split), perm=[0, 2, 1, 3])
        scores = g.op("Div", g.op("MatMul", q, k), g.const(math.sqrt(dh)))
        probs = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
        c = g.op("Transpose", g.op("MatMul", probs, v), perm=[0, 2, 1, 3])
        c = g.op("Reshape", c, g.ints(1, seq, d))
        x = layernorm(g, g.op("Add", linear(g, c, d, d), x), d)
        y = linear(g, x, d, 4 * d)
        erf = g.op("Erf", g.op("Div", y, g.const(math.sqrt(2))))
        y = g.op("Mul", g.op("Mul", y, g.op("Add", erf, g.const(1.0))), g.const(0.5))
        x = layernorm(g, g.op("Add", linear(g, y, 4 * d, d), x), d)
    g.output(x, "last_hidden_state", [1, seq, d])
    return g


def gpt2(name, seq, past, layers=12, d=768, heads=12, vocab=50257, positions=1024):
    """GPT-2 small. past > 0: one decoding step, with a KV cache of `past` entries it extends."""
    g = Graph(name, 22)
    dh = d // heads
    total = seq + past
    ids = g.input("input_ids", [1, seq], TensorProto.INT64, g.rng.integers(0, vocab, (1, seq)))
    cache, presents = [], []
    if past:
        for i in range(layers):
            cache.append([g.input(f"past_{kv}{i}", [1, heads, past, dh]) for kv in "kv"])
    wte = g.weight(vocab, d, scale=0.02, base="wte")
    wpe = g.weight(positions, d, scale=0.02, base="wpe")
    pos = g.op("Gather", wpe, g.const([list(range(past, total))], np.int64))
    x = g.op("Add", g.op("Gather", wte, ids), pos)
    causal = g.const(np.tril(np.ones((total, total), bool))[past:][None, None], np.bool_)

    def conv1d(x, cin, cout, scale):
        """GPT-2's Conv1D: Reshape, Gemm, Reshape."""
        y = g.op("Reshape", x, g.ints(-1, cin))
        weight = g.weight(cin, cout, scale=scale, base="c1d_w")
        y = g.op("Gemm", y, weight, g.weight(cout, scale=0.02, base="c1d_b"))
        return g.op("Reshape", y, g.ints(1, seq, cout))

    for i in range(layers):
        y = conv1d(layernorm(g, x, d, 1e-5), d, 3 * d, 1 / math.sqrt(d))
        parts = g.op("Split", y, g.ints(d, d, d), outs=3, axis=2)
        split = g.ints(1, seq, heads, dh)
        q, k, v = (g.op("Transpose", g.op("Reshape", t, split), perm=[0, 2, 1, 3]) for t in parts)
        if past:
            k = g.op("Concat", cache[i][0], k, axis=2)
            v = g.op("Concat", cache[i][1], v, axis=2)
            presents += [(k, f"present_k{i}"), (v, f"present_v{i}")]
        scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = g.op("Div", scores, g.const(math.sqrt(dh)))
        scores = g.op("Where", causal, scores, g.const(-3.4e38))
        c = g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
        c = g.op("Reshape", g.op("Transpose", c, perm=[0, 2, 1, 3]), g.ints(1, seq, d))
        x = g.op("Add", conv1d(c, d, d, 0.5 / math.sqrt(d)), x)
        y = conv1d(layernorm(g, x, d, 1e-5), d, 4 * d, 1 / math.sqrt(d))
        cubic = g.op("Mul", g.op("Pow", y, g.const(3.0)), g.const(0.044715))
        t = g.op("Mul", g.op("Add", y, cubic), g.const(math.sqrt(2 / math.pi)))
        t = g.op("Tanh", t)
        y = g.op("Mul", g.op("Mul", y, g.const(0.5)), g.op("Add", t, g.const(1.0)))
        x = g.op("Add", x, conv1d(y, 4 * d, d, 0.5 / math.sqrt(4 * d)))
    x = layernorm(g, x, d, 1e-5)
    x = g.op("MatMul", x, g.op("Transpose", wte, perm=[1, 0]))  # the tied output layer
    g.output(x, "logits", [1, seq, vocab])
    for value, present in presents:
        g.output(value, present, [1, heads, total, dh])
    return g


# ---- small ----

def lstm(seq=100, width=128, hidden=256):
    g = Graph("lstm", 5)
    x = g.input("input", [seq, 1, width])
    scale = 1 / math.sqrt(hidden)
    w = g.weight(1, 4 * hidden, width, scale=scale)
    r = g.weight(1, 4 * hidden, hidden, scale=scale)
    b = g.weight(1, 8 * hidden, scale=0.05)
    y, h, c = g.op("LSTM", x, w, r, b, outs=3, hidden_size=hidden, direction="forward")
    g.output(g.op("Squeeze", y, g.ints(1)), "output", [seq, 1, hidden])
    g.output(h, "h", [1, 1, hidden])
    g.output(c, "c", [1, 1, hidden])
    return g


def mlp(batch=64):
    g = Graph("mlp", 3)
    x = g.input("input", [batch, 784])
    for i, (cin, cout) in enumerate(((784, 512), (512, 512), (512, 10))):
        weight = g.weight(cout, cin, scale=math.sqrt(2 / cin))
        x = g.op("Gemm", x, weight, g.weight(cout, scale=0.02), transB=1)
        if i < 2:
            x = g.op("Relu", x)
    g.output(g.op("Softmax", x, axis=-1), "output", [batch, 10])
    return g


def gemm_1024(n=1024):
    g = Graph("gemm_1024", 1)
    a = g.input("a", [n, n])
    b = g.input("b", [n, n])
    g.output(g.op("MatMul", a, b), "c", [n, n])
    return g


def gemm_1024_w(n=1024):
    g = Graph("gemm_1024_w", 1)
    a = g.input("a", [n, n])
    g.output(g.op("MatMul", a, g.weight(n, n)), "c", [n, n])
    return g


def conv_3x3():
    g = Graph("conv_3x3", 1)
    x = g.input("x", [1, 64, 56, 56])
    g.output(conv(g, x, 64, 64, 3, bias=True), "y", [1, 64, 56, 56])
    return g


def dwconv():
    g = Graph("dwconv", 1)
    x = g.input("x", [1, 144, 56, 56])
    g.output(conv(g, x, 144, 144, 3, group=144, bias=True), "y", [1, 144, 56, 56])
    return g


def half(g):
    """The same graph with f16 for f32 everywhere."""
    def tensor(t):
        return numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16), t.name)

    g.name += "_f16"
    g.inits = [tensor(t) for t in g.inits]
    for info in g.inputs + g.outputs:
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.FLOAT16
    for attribute in (a for node in g.nodes for a in node.attribute):
        if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(tensor(attribute.t))
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
    g.data = {name: value.astype(np.float16) if value.dtype == np.float32 else value
              for name, value in g.data.items()}
    return g


MODELS = {
    "mlp": mlp,
    "lstm": lstm,
    "gemm_1024": gemm_1024,
    "gemm_1024_w": gemm_1024_w,
    "conv_3x3": conv_3x3,
    "dwconv": dwconv,
    "unet": unet,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "bert_base": bert_base,
    "mlp_f16": lambda: half(mlp()),
    "mobilenet_v2_f16": lambda: half(mobilenet_v2()),
    "resnet50_f16": lambda: half(resnet50()),
    "resnet50_b32": lambda: resnet50(32),
    "resnet50_b32_f16": lambda: half(resnet50(32)),
    "bert_base_f16": lambda: half(bert_base()),
    "bert_tiny_f16": lambda: half(bert_base("bert_tiny", 2, 128, 2, 75, 1000)),
    "gpt2_prefill64": lambda: gpt2("gpt2_prefill64", 64, 0),
    "gpt2_step64": lambda: gpt2("gpt2_step64", 1, 64),
}


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip() + "\n\nNames: " + " ".join(MODELS), file=sys.stderr)
        return 2
    outdir, names = sys.argv[1], sys.argv[2:] or list(MODELS)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        print("make_models.py: error: no such model:", *unknown, file=sys.stderr)
        return 2
    os.makedirs(outdir, exist_ok=True)
    for name in names:
        path = f"{outdir}/{name}.onnx"
        if not os.path.exists(path):
            MODELS[name]().save(outdir)
            print(f"{name:16s} {os.path.getsize(path) / 1e6:9.2f} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
