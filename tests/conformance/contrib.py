"""contrib.py OUT MODELS: models of one node or few, of com.microsoft, with loops and with functions of their own, and what
onnxruntime's CPU provider computes of them at several shapes, as cases of the conformance driver: OUT/node/NAME/{model.onnx, tol.json,
test_data_set_N/{input,output}_M.pb}. And two of MODELS (build/models) after onnxruntime's optimizer.
"""

import json
import pathlib
import shutil
import sys
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

F32, F16, I32, I64, U8, I8 = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64,
                              TensorProto.UINT8, TensorProto.INT8)
DTYPES = {np.dtype(np.float32): F32, np.dtype(np.float16): F16, np.dtype(np.int32): I32, np.dtype(np.int64): I64,
          np.dtype(np.uint8): U8, np.dtype(np.int8): I8, np.dtype(bool): TensorProto.BOOL, np.dtype(np.int16): TensorProto.INT16}
CASES = []


def case(name, node, inputs, outputs=("y",), weights=None, close=1e-5, functions=(), opset=17, steps=0, valid=None):
    """inputs: {name: dims with names} and a function of dims to arrays; see the calls. steps: how many steps of an
    integer the outputs may be off. valid: crops outputs to what the op defines."""
    CASES.append(dict(name=name, nodes=node if isinstance(node, list) else [node], inputs=inputs, outputs=outputs,
                      weights=weights or {}, close=close, functions=functions, opset=opset, steps=steps))


def ms(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, inputs, list(outputs), domain="com.microsoft", **attributes)


class Maker:
    """Random arrays that depend on the case's name and the data set alone."""

    def __init__(self, name, index):
        self.rng = np.random.default_rng(zlib.crc32(f"{name}/{index}".encode()))

    def f(self, *dims, scale=1.0):
        return (self.rng.standard_normal(dims) * scale).astype(np.float32)

    def i(self, low, high, *dims, dtype=np.int64):
        return self.rng.integers(low, high, dims).astype(dtype)

    def u8(self, *dims):
        return self.i(0, 256, *dims, dtype=np.uint8)

    def i8(self, *dims):
        return self.i(-128, 128, *dims, dtype=np.int8)


def write(out, c):
    folder = out / "node" / c["name"]
    folder.mkdir(parents=True)
    weights = Maker(c["name"], "weights")
    initializers = [numpy_helper.from_array(np.asarray(make(weights) if callable(make) else make), name)
                    for name, make in c["weights"].items()]
    shapes, sets = c["inputs"]
    made = [sets(Maker(c["name"], i), *dims) for i, dims in enumerate(shapes)]
    infos = []
    for name, first in made[0].items():
        same = [len({s[name].shape[axis] for s in made}) == 1 for axis in range(first.ndim)]
        names = {}  # extents that change alike have one name
        dims = []
        for axis in range(first.ndim):
            row = tuple(s[name].shape[axis] for s in made)
            dims.append(first.shape[axis] if same[axis] else "d" + "_".join(map(str, row)))
        infos.append(helper.make_tensor_value_info(name, DTYPES[first.dtype], dims))
    outputs = [helper.make_empty_tensor_value_info(name) for name in c["outputs"]]
    graph = helper.make_graph(c["nodes"], c["name"], infos, outputs, initializers)
    opsets = [helper.make_opsetid("", c["opset"]), helper.make_opsetid("com.microsoft", 1)]
    if c["functions"]:
        opsets.append(helper.make_opsetid("local", 1))
    model = helper.make_model(graph, opset_imports=opsets, functions=list(c["functions"]), ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "tol.json").write_text(json.dumps({"rtol": c["close"], "atol": c["steps"] or c["close"]}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for i, feed in enumerate(made):
        data_set = folder / f"test_data_set_{i}"
        data_set.mkdir()
        for j, (name, value) in enumerate(feed.items()):
            (data_set / f"input_{j}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())
        for j, (name, value) in enumerate(zip(c["outputs"], session.run(list(c["outputs"]), feed))):
            (data_set / f"output_{j}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())


# ---- activations and products ----

ROWS = [(1, 7), (3, 16), (5, 33)]
for op in ("Gelu", "FastGelu", "QuickGelu"):
    case(op.lower(), ms(op, ["x"]), (ROWS, lambda m, a, b: {"x": m.f(a, b, scale=3)}))
case("quick_gelu_alpha", ms("QuickGelu", ["x"], alpha=0.75), (ROWS, lambda m, a, b: {"x": m.f(a, b)}))
for op in ("FastGelu", "BiasGelu"):
    case(op.lower() + "_with_bias", ms(op, ["x", "b"]), (ROWS, lambda m, a, b: {"x": m.f(a, b), "b": m.f(b)}))
FACTORS = [(2, 3, 4, 5), (3, 1, 17, 2), (1, 6, 8, 9)]
for a in (0, 1):
    for b in (0, 1):
        case(f"fused_mat_mul_{a}{b}", ms("FusedMatMul", ["x", "w"], transA=a, transB=b, alpha=0.5),
             (FACTORS, lambda m, n, r, k, c, a=a, b=b: {"x": m.f(n, *((k, r) if a else (r, k))),
                                                        "w": m.f(n, *((c, k) if b else (k, c)))}))
case("fused_mat_mul_batch_a", ms("FusedMatMul", ["x", "w"], transBatchA=1),
     (FACTORS, lambda m, n, r, k, c: {"x": m.f(r, n, k), "w": m.f(n, k, c)}))
case("fused_mat_mul_batch_both", ms("FusedMatMul", ["x", "w"], transBatchA=1, transA=1, transBatchB=1, transB=1),
     (FACTORS, lambda m, n, r, k, c: {"x": m.f(k, n, r), "w": m.f(c, n, k)}))
case("fused_mat_mul_vector", ms("FusedMatMul", ["x", "w"], alpha=2.0), (ROWS, lambda m, a, b: {"x": m.f(b), "w": m.f(b, a)}))
for name, numbers in (("Relu", {}), ("LeakyRelu", dict(activation_alpha=0.3)), ("Sigmoid", {}), ("Tanh", {}),
                      ("HardSigmoid", dict(activation_alpha=0.3, activation_beta=0.4)), ("Softplus", {})):
    case(f"fused_gemm_{name.lower()}", ms("FusedGemm", ["x", "w", "c"], activation=name, transB=1, alpha=0.5, beta=2.0,
                                          **numbers),
         (ROWS, lambda m, a, b: {"x": m.f(a, b), "w": m.f(6, b), "c": m.f(6)}))
IMAGES = [(1, 8, 8), (2, 9, 7), (3, 5, 12)]
for name, numbers in (("Relu", None), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 0.75]), ("HardSigmoid", [0.3, 0.4]),
                      ("Tanh", None), ("Sigmoid", None)):
    parameters = {} if numbers is None else dict(activation_params=numbers)
    case(f"fused_conv_{name.lower()}", ms("FusedConv", ["x", "w", "b"], activation=name, pads=[1, 1, 1, 1], **parameters),
         (IMAGES, lambda m, n, h, w: {"x": m.f(n, 4, h, w)}), weights={"w": lambda m: m.f(6, 4, 3, 3), "b": lambda m: m.f(6)})
case("fused_conv_sum", ms("FusedConv", ["x", "w", "", "z"], activation="Relu", pads=[1, 1, 1, 1], group=2),
     (IMAGES, lambda m, n, h, w: {"x": m.f(n, 4, h, w), "z": m.f(n, 6, h, w)}), weights={"w": lambda m: m.f(6, 2, 3, 3)})
for metric in ("euclidean", "sqeuclidean"):
    case(f"cdist_{metric}", ms("CDist", ["x", "w"], metric=metric), (ROWS, lambda m, a, b: {"x": m.f(a, 8), "w": m.f(b, 8)}),
         close=1e-4)
case("expand_dims", ms("ExpandDims", ["x", "axis"]), (ROWS, lambda m, a, b: {"x": m.f(a, b)}),
     weights={"axis": np.array(-2, np.int32)})
case("trilu", ms("Trilu", ["x"], upper=0), (ROWS, lambda m, a, b: {"x": m.f(a, b)}))
case("pad", ms("Pad", ["x", "p", "v"], mode="constant"), (ROWS, lambda m, a, b: {"x": m.f(a, b)}),
     weights={"p": np.array([1, 0, 2, 3]), "v": np.array([2.5], np.float32)})
case("gather_nd", ms("GatherND", ["x", "i"]), (ROWS, lambda m, a, b: {"x": m.f(a, b), "i": m.i(0, a, 4, 1)}))
case("range", ms("Range", ["a", "b"]), ([(5,)], lambda m, a: {"x": m.f(a)}) and
     ([(1,)], lambda m, a: {"a": np.array(2, np.int64), "b": np.array(7, np.int64)}))

# ---- normalizations ----

TOKENS = [(1, 4, 32), (2, 7, 32), (3, 1, 32)]
case("skip_layer_norm", ms("SkipLayerNormalization", ["x", "s", "g", "b", "c"], ["y", "", "", "sum"]),
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h), "s": m.f(b, s, h)}), outputs=("y", "sum"),
     weights={"g": lambda m: m.f(32), "b": lambda m: m.f(32), "c": lambda m: m.f(32)})
case("skip_layer_norm_plain", ms("SkipLayerNormalization", ["x", "s", "g"], epsilon=1e-3),
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h), "s": m.f(1, s, h)}), weights={"g": lambda m: m.f(32)})
case("skip_layer_norm_flat", ms("SkipLayerNormalization", ["x", "s", "g", "b"], epsilon=1e-5),
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h), "s": m.f(s, h)}),
     weights={"g": lambda m: m.f(32), "b": lambda m: m.f(32)})
case("skip_rms_norm", ms("SkipSimplifiedLayerNormalization", ["x", "s", "g", "c"], ["y", "", "", "sum"], epsilon=1e-6),
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h), "s": m.f(b, s, h)}), outputs=("y", "sum"),
     weights={"g": lambda m: m.f(32), "c": lambda m: m.f(32)})
case("rms_norm", helper.make_node("SimplifiedLayerNormalization", ["x", "g"], ["y"], axis=-1, epsilon=1e-6, stash_type=1),
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h)}), weights={"g": lambda m: m.f(32)})
case("old_layer_norm", helper.make_node("LayerNormalization", ["x", "g", "b"], ["y"], axis=-1, epsilon=1e-5),
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h)}), weights={"g": lambda m: m.f(32), "b": lambda m: m.f(32)}, opset=13)
EMBED = dict(weights={"word": lambda m: m.f(50, 16), "place": lambda m: m.f(20, 16), "kind": lambda m: m.f(2, 16),
                      "g": lambda m: m.f(16), "b": lambda m: m.f(16)})
SENTENCES = [(1, 5), (3, 9), (2, 20)]
case("embed_layer_norm", ms("EmbedLayerNormalization", ["ids", "kinds", "word", "place", "kind", "g", "b", "mask"],
                            ["y", "lengths", "sum"]),
     (SENTENCES, lambda m, b, s: {"ids": m.i(0, 50, b, s, dtype=np.int32), "kinds": m.i(0, 2, b, s, dtype=np.int32),
                                  "mask": np.sort(m.i(0, 2, b, s, dtype=np.int32))[:, ::-1].copy()}),
     outputs=("y", "lengths", "sum"), **EMBED)
case("embed_layer_norm_places", ms("EmbedLayerNormalization", ["ids", "", "word", "place", "", "g", "b", "", "at"],
                                   ["y", "lengths"], epsilon=1e-5),
     (SENTENCES, lambda m, b, s: {"ids": m.i(0, 50, b, s, dtype=np.int32), "at": m.i(0, 20, b, s, dtype=np.int32)}),
     outputs=("y", "lengths"), weights={k: EMBED["weights"][k] for k in ("word", "place", "g", "b")})

# ---- quantized ops: one step of the result apart where the last bit of a float decides ----

ONE = lambda value: np.array(value, np.float32)
for kind, dtype, zero in (("u8", np.uint8, 120), ("i8", np.int8, -7)):
    Q = {"xs": ONE(0.03), "xz": np.array(zero, dtype), "ws": ONE(0.05), "wz": np.array(zero + 5, dtype), "ys": ONE(0.07),
         "yz": np.array(zero - 3, dtype)}
    make = lambda m, *dims, kind=kind: getattr(m, kind)(*dims)
    for op in ("QLinearAdd", "QLinearMul"):
        case(f"{op.lower()}_{kind}", ms(op, ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]),
             (ROWS, lambda m, a, b, make=make: {"x": make(m, a, b), "w": make(m, b)}), weights=Q, steps=1)
    one_input = {k: v for k, v in Q.items() if k[0] != "w"}
    sigmoid = {**one_input, "ys": ONE(1 / 256), "yz": np.array(0 if kind == "u8" else -128, dtype)}
    case(f"q_linear_sigmoid_{kind}", ms("QLinearSigmoid", ["x", "xs", "xz", "ys", "yz"]),
         (ROWS, lambda m, a, b, make=make: {"x": make(m, a, b)}), weights=sigmoid, steps=1)
    case(f"q_linear_softmax_{kind}", ms("QLinearSoftmax", ["x", "xs", "xz", "ys", "yz"], axis=-1, opset=13),
         (ROWS, lambda m, a, b, make=make: {"x": make(m, a, b)}), weights=sigmoid, steps=1)
    case(f"q_linear_softmax_old_{kind}", ms("QLinearSoftmax", ["x", "xs", "", "ys", "yz"], axis=1, opset=12),
         (FACTORS, lambda m, n, a, b, c, make=make: {"x": make(m, n, a, b)}), weights={k: v for k, v in sigmoid.items() if k != "xz"}, steps=1)
    case(f"q_linear_leaky_relu_{kind}", ms("QLinearLeakyRelu", ["x", "xs", "xz", "ys", "yz"], alpha=0.2),
         (ROWS, lambda m, a, b, make=make: {"x": make(m, a, b)}), weights=one_input, steps=1)
    case(f"q_linear_where_{kind}", ms("QLinearWhere", ["c", "x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]),
         (ROWS, lambda m, a, b, make=make: {"c": m.i(0, 2, a, b, dtype=bool), "x": make(m, a, b), "w": make(m, a, b)}),
         weights=Q, steps=1)
    case(f"q_linear_concat_{kind}", ms("QLinearConcat", ["ys", "yz", "x", "xs", "xz", "w", "ws", "wz"], axis=1),
         (ROWS, lambda m, a, b, make=make: {"x": make(m, a, b), "w": make(m, a, 2 * b)}), weights=Q, steps=1)
    for last in (0, 1):
        shape = (lambda n, h, w: (n, h, w, 4)) if last else (lambda n, h, w: (n, 4, h, w))
        images = (IMAGES, lambda m, n, h, w, make=make, shape=shape: {"x": make(m, *shape(n, h, w))})
        case(f"q_linear_global_average_pool_{kind}_{last}",
             ms("QLinearGlobalAveragePool", ["x", "xs", "xz", "ys", "yz"], channels_last=last), images, weights=one_input, steps=1)
        case(f"q_linear_average_pool_{kind}_{last}",
             ms("QLinearAveragePool", ["x", "xs", "xz", "ys", "yz"], channels_last=last, kernel_shape=[3, 2], strides=[2, 1],
                pads=[1, 0, 0, 1]), images, weights=one_input, steps=1)
        case(f"q_linear_conv_{kind}_{last}",
             ms("QLinearConv", ["x", "xs", "xz", "k", "ks", "kz", "ys", "yz", "b"], channels_last=last, pads=[1, 1, 1, 1]), images,
             weights={**one_input, "ys": ONE(0.4), "k": lambda m, make=make: make(m, 5, 4, 3, 3), "ks": np.full(5, 0.01, np.float32),
                      "kz": np.zeros(5, dtype), "b": lambda m: m.i(-99, 99, 5, dtype=np.int32)} if kind == "i8" else
             {**one_input, "ys": ONE(0.4), "k": lambda m: m.i8(5, 4, 3, 3), "ks": np.full(5, 0.01, np.float32),
              "kz": np.zeros(5, np.int8), "b": lambda m: m.i(-99, 99, 5, dtype=np.int32)}, steps=1)
GEMMS = [(1, 8), (4, 8), (33, 8)]
for columns in (0, 1):
    per = (lambda v: np.linspace(v, 2 * v, 6).astype(np.float32)) if columns else ONE
    zero = np.arange(6, dtype=np.int8) if columns else np.array(3, np.int8)
    W = {"w": lambda m: m.i8(8, 6), "ws": per(0.02), "wz": zero}
    case(f"dynamic_quantize_mat_mul_{columns}", ms("DynamicQuantizeMatMul", ["x", "w", "ws", "wz", "b"]),
         (GEMMS, lambda m, a, k: {"x": m.f(2, a, k)}), weights={**W, "b": lambda m: m.f(6)}, close=1e-4)
    case(f"mat_mul_integer_to_float_{columns}", ms("MatMulIntegerToFloat", ["x", "w", "xs", "ws", "xz", "wz", "b"]),
         (GEMMS, lambda m, a, k: {"x": m.u8(2, a, k)}),
         weights={**W, "xs": ONE(0.1), "xz": np.array(100, np.uint8), "b": lambda m: m.f(6)}, close=1e-4)
    G = {"w": lambda m: m.i8(6, 8), "ws": per(0.02), "wz": np.zeros(6, np.int8) if columns else np.array(3, np.int8),
         "xs": ONE(0.1), "xz": np.array(100, np.uint8)}
    case(f"q_gemm_float_{columns}", ms("QGemm", ["x", "xs", "xz", "w", "ws", "wz", "c"], transB=1, alpha=1.5),
         (GEMMS, lambda m, a, k: {"x": m.u8(a, k)}), weights={**G, "c": lambda m: m.i(-99, 99, 6, dtype=np.int32)}, close=1e-4)
    case(f"q_gemm_{columns}", ms("QGemm", ["x", "xs", "xz", "w", "ws", "wz", "c", "ys", "yz"], transB=1),
         (GEMMS, lambda m, a, k: {"x": m.u8(a, k)}),
         weights={**G, "c": lambda m: m.i(-99, 99, 6, dtype=np.int32), "ys": ONE(0.9), "yz": np.array(90, np.uint8)}, steps=1)
case("dynamic_quantize_mat_mul_plain", ms("DynamicQuantizeMatMul", ["x", "w", "ws"]),
     (GEMMS, lambda m, a, k: {"x": m.f(a, k)}), weights={"w": lambda m: m.u8(8, 6), "ws": ONE(0.02)}, close=1e-4)
case("mat_mul_integer_16", ms("MatMulInteger16", ["x", "w"]),
     (GEMMS, lambda m, a, k: {"x": m.i(-99, 99, a, k, dtype=np.int16), "w": m.i(-99, 99, k, 6, dtype=np.int16)}))
case("quantize_linear", ms("QuantizeLinear", ["x", "s", "z"], axis=1), (ROWS[:1], lambda m, a, b: {"x": m.f(a, b)}),
     weights={"s": np.linspace(0.01, 0.05, 7).astype(np.float32), "z": np.arange(7, dtype=np.uint8)}, steps=1)
case("dequantize_linear", ms("DequantizeLinear", ["x", "s", "z"]), (ROWS, lambda m, a, b: {"x": m.i8(a, b)}),
     weights={"s": ONE(0.3), "z": np.array(-5, np.int8)})


def nbits(name, bits, size, n, k, zeros, bias=False, floats=False):
    blocks = -(-k // size)
    weights = {"w": lambda m: m.u8(n, blocks, size * bits // 8), "s": lambda m: np.abs(m.f(n, blocks, scale=0.1)) + 0.01}
    names = ["x", "w", "s"]
    if zeros or bias:
        names.append("z" if zeros else "")
    if zeros:
        weights["z"] = (lambda m: m.f(n, blocks) * 3 + 8) if floats else lambda m: m.u8(n, -(-blocks * bits // 8))
    if bias:
        names += ["", "b"]
        weights["b"] = lambda m: m.f(n)
    case(name, ms("MatMulNBits", names, N=n, K=k, bits=bits, block_size=size), (GEMMS, lambda m, a, _: {"x": m.f(a, k)}),
         weights=weights, close=1e-4)


nbits("mat_mul_4_bits", 4, 32, 24, 128, False)
nbits("mat_mul_4_bits_zeros", 4, 16, 10, 80, True)
nbits("mat_mul_4_bits_odd", 4, 32, 7, 100, True)
nbits("mat_mul_4_bits_bias", 4, 64, 16, 128, False, bias=True)
nbits("mat_mul_4_bits_float_zeros", 4, 32, 8, 96, True, floats=True)
nbits("mat_mul_8_bits", 8, 32, 12, 64, False)
nbits("mat_mul_8_bits_zeros", 8, 128, 12, 256, True, bias=True)
for bits, dims in ((4, 32), (8, 64)):
    case(f"gather_block_quantized_{bits}", ms("GatherBlockQuantized", ["t", "i", "s", "z"], bits=bits, block_size=16),
         (ROWS, lambda m, a, b: {"i": m.i(0, 30, a, b)}),
         weights={"t": lambda m, d=dims: m.u8(30, d), "s": lambda m: np.abs(m.f(30, 4)) + 0.01,
                  "z": lambda m, bits=bits: m.u8(30, 4 * bits // 8)})

for kind in (0, 1):
    case(f"mat_mul_bnb4_{kind}", ms("MatMulBnb4", ["x", "w", "s"], N=9, K=64, block_size=32, quant_type=kind),
         (GEMMS, lambda m, a, k: {"x": m.f(a, 64)}),
         weights={"w": lambda m: m.u8(288), "s": lambda m: np.abs(m.f(18)) + 0.01}, close=1e-4)
nbits("mat_mul_2_bits", 2, 32, 8, 96, False)
# onnxruntime quantizes what goes into the products as well: 8 bits apart.
for per, kind in ((1, "i8"), (12, "u8")):
    shape = (2,) if per == 1 else (2, 12)
    case(f"dynamic_quantize_lstm_{kind}",
         ms("DynamicQuantizeLSTM", ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"], ["y", "h", "c"], hidden_size=3,
            direction="bidirectional"),
         ([(4, 2), (1, 1), (7, 3)], lambda m, s, b: {"x": m.f(s, b, 5)}), outputs=("y", "h", "c"),
         weights={"w": lambda m, k=kind: getattr(m, k)(2, 5, 12), "r": lambda m, k=kind: getattr(m, k)(2, 3, 12),
                  "b": lambda m: m.f(2, 24), "ws": np.full(shape, 0.01, np.float32), "rs": np.full(shape, 0.012, np.float32),
                  "wz": np.full(shape, 0 if kind == "i8" else 128, np.int8 if kind == "i8" else np.uint8),
                  "rz": np.full(shape, 0 if kind == "i8" else 128, np.int8 if kind == "i8" else np.uint8)}, close=2e-2)
case("nhwc_max_pool", ms("NhwcMaxPool", ["x"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 0, 1]),
     (IMAGES, lambda m, n, h, w: {"x": m.u8(n, h, w, 3)}))
for mode in ("bilinear", "nearest"):
    case(f"grid_sample_{mode}", ms("GridSample", ["x", "g"], mode=mode, align_corners=1),
         (IMAGES, lambda m, n, h, w: {"x": m.f(n, 3, h, w), "g": m.f(n, w, h, 2, scale=0.5)}))

# ---- attention ----

B_S = [(1, 5), (2, 8), (3, 1)]


def padding(m, b, s, dtype=np.int32):
    return (np.arange(s)[None, :] < m.i(1, s + 1, b, 1)).astype(dtype)


W = {"w": lambda m: m.f(16, 24, scale=0.3), "b": lambda m: m.f(24)}
for causal in (0, 1):
    case(f"attention_{causal}", ms("Attention", ["x", "w", "b"], num_heads=2, unidirectional=causal),
         (B_S, lambda m, b, s: {"x": m.f(b, s, 16)}), weights=W)
    case(f"attention_mask_{causal}", ms("Attention", ["x", "w", "b", "mask"], num_heads=4, unidirectional=causal),
         (B_S, lambda m, b, s: {"x": m.f(b, s, 16), "mask": padding(m, b, s)}), weights=W)
    case(f"attention_past_{causal}", ms("Attention", ["x", "w", "b", "", "past"], ["y", "present"], num_heads=2,
                                        unidirectional=causal),
         (B_S, lambda m, b, s: {"x": m.f(b, s, 16), "past": m.f(2, b, 2, 3 * s, 4)}), outputs=("y", "present"), weights=W)
case("attention_ends", ms("Attention", ["x", "w", "b", "ends"], num_heads=2),
     (B_S, lambda m, b, s: {"x": m.f(b, s, 16), "ends": m.i(1, s + 1, b, dtype=np.int32)}), weights=W)
case("attention_square_mask", ms("Attention", ["x", "w", "b", "mask"], num_heads=2, scale=0.2),
     (B_S, lambda m, b, s: {"x": m.f(b, s, 16), "mask": np.maximum(m.i(0, 2, b, s, s, dtype=np.int32), np.eye(s, dtype=np.int32))}),
     weights=W)
case("attention_bias", ms("Attention", ["x", "w", "", "", "", "bias"], num_heads=2),
     (B_S, lambda m, b, s: {"x": m.f(b, s, 16), "bias": m.f(b, 2, s, s)}), weights={"w": W["w"]})
case("attention_widths", ms("Attention", ["x", "w", "b"], num_heads=2, qkv_hidden_sizes=[4, 4, 16]),
     (B_S, lambda m, b, s: {"x": m.f(b, s, 16)}), weights=W)
case("q_attention", ms("QAttention", ["x", "w", "b", "xs", "ws", "mask", "xz", "wz"], num_heads=2),
     (B_S, lambda m, b, s: {"x": m.u8(b, s, 16), "mask": m.i(1, s + 1, b, dtype=np.int32)}),
     weights={"w": lambda m: m.i8(16, 24), "b": W["b"], "xs": ONE(0.02), "ws": ONE(0.01), "xz": np.array(128, np.uint8),
              "wz": np.array(0, np.int8)}, close=1e-4)
CROSS = [(1, 5, 3), (2, 1, 9), (3, 4, 4)]
QKV = lambda m, b, s, t: {"q": m.f(b, s, 16), "k": m.f(b, t, 16), "v": m.f(b, t, 24)}
case("multi_head", ms("MultiHeadAttention", ["q", "k", "v"], num_heads=4), (CROSS, QKV))
case("multi_head_bias", ms("MultiHeadAttention", ["q", "k", "v", "b"], num_heads=2, scale=0.3), (CROSS, QKV),
     weights={"b": lambda m: m.f(56)})
case("multi_head_mask", ms("MultiHeadAttention", ["q", "k", "v", "", "mask", "bias"], num_heads=2),
     (CROSS, lambda m, b, s, t: {**QKV(m, b, s, t), "mask": padding(m, b, t), "bias": m.f(1, 2, s, t)}))
case("multi_head_causal", ms("MultiHeadAttention", ["q", "k", "v"], num_heads=2, unidirectional=1),
     (B_S, lambda m, b, s: QKV(m, b, s, s)))
case("multi_head_past", ms("MultiHeadAttention", ["q", "k", "v", "", "", "", "pk", "pv"], ["y", "ck", "cv"], num_heads=2,
                           unidirectional=1),
     (B_S, lambda m, b, s: {"q": m.f(b, s, 16), "k": m.f(b, s, 16), "v": m.f(b, s, 16), "pk": m.f(b, 2, 2 * s, 8),
                            "pv": m.f(b, 2, 2 * s, 8)}), outputs=("y", "ck", "cv"))
case("multi_head_of_another_layer", ms("MultiHeadAttention", ["q", "k", "v"], num_heads=2),
     (CROSS, lambda m, b, s, t: {"q": m.f(b, s, 16), "k": m.f(b, 2, t, 8), "v": m.f(b, 2, t, 8)}))


def angles(rows, size):
    at = np.arange(rows)[:, None] / 10000 ** (np.arange(size // 2) * 2 / size)
    return {"cos": np.cos(at).astype(np.float32), "sin": np.sin(at).astype(np.float32)}


for turned in (0, 1):
    case(f"rotary_{turned}", ms("RotaryEmbedding", ["x", "p", "cos", "sin"], interleaved=turned),
         (B_S, lambda m, b, s: {"x": m.f(b, s, 32), "p": m.i(0, 20, b, s)}), weights=angles(20, 8))
case("rotary_from", ms("RotaryEmbedding", ["x", "p", "cos", "sin"]),
     (B_S, lambda m, b, s: {"x": m.f(b, 3, s, 8), "p": np.array([6], np.int64)}), weights=angles(20, 8))
case("rotary_part", ms("RotaryEmbedding", ["x", "p", "cos", "sin"], num_heads=2, rotary_embedding_dim=4),
     (B_S, lambda m, b, s: {"x": m.f(b, s, 32), "p": m.i(0, 20, b, s)}), weights=angles(20, 4))


def prompt(m, b, s, heads=4, shared=2, d=16, packed=False):
    x = {"q": m.f(b, s, (heads + 2 * shared) * d)} if packed else {
        "q": m.f(b, s, heads * d), "k": m.f(b, s, shared * d), "v": m.f(b, s, shared * d)}
    return {**x, "seqlens": np.full(b, s - 1, np.int32), "total": np.array(s, np.int32)}


def step(m, b, past, held, packed=False):
    """One token behind `past` others, in a cache of `held` rows."""
    x = prompt(m, b, 1, packed=packed)
    return {**x, "pk": m.f(b, 2, held, 16), "pv": m.f(b, 2, held, 16), "seqlens": np.full(b, past, np.int32),
            "total": np.array(past + 1, np.int32)}


GQA = ["q", "k", "v", "pk", "pv", "seqlens", "total"]
PROMPT = ["q", "k", "v", "", "", "seqlens", "total"]
OUT3 = dict(outputs=("y", "ck", "cv"))
gqa = lambda inputs, **more: ms("GroupQueryAttention", inputs, ["y", "ck", "cv"], num_heads=4, kv_num_heads=2, **more)
case("gqa_prompt", gqa(PROMPT), (B_S, prompt), **OUT3)
case("gqa_prompt_packed", gqa(["q", "", "", "", "", "seqlens", "total"], scale=0.5),
     (B_S, lambda m, b, s: prompt(m, b, s, packed=True)), **OUT3)
case("gqa_prompt_rotary", gqa(PROMPT + ["cos", "sin"], do_rotary=1), (B_S, prompt), weights=angles(20, 16), **OUT3)
case("gqa_prompt_rotary_pairs", gqa(PROMPT + ["cos", "sin"], do_rotary=1, rotary_interleaved=1), (B_S, prompt),
     weights=angles(20, 16), **OUT3)
case("gqa_prompt_window", gqa(PROMPT, local_window_size=3), ([(1, 9), (2, 8), (1, 2)], prompt), **OUT3)
case("gqa_prompt_softcap", gqa(PROMPT, softcap=2.0), (B_S, prompt), close=1e-4, **OUT3)
case("gqa_prompt_smooth", gqa(PROMPT, smooth_softmax=1), (B_S, prompt), **OUT3)
case("gqa_prompt_sink", gqa(PROMPT + ["", "", "", "", "sink"]), (B_S, prompt), weights={"sink": lambda m: m.f(4)}, **OUT3)
case("gqa_prompt_bias", gqa(PROMPT + ["", "", "", "bias"]), (B_S, lambda m, b, s: {**prompt(m, b, s), "bias": m.f(1, 4, s, s)}),
     **OUT3)
STEPS = [(1, 4, 4), (2, 7, 7), (3, 1, 1)]
case("gqa_step", gqa(GQA), (STEPS, step), **OUT3)
case("gqa_step_rotary", gqa(GQA + ["cos", "sin"], do_rotary=1), (STEPS, step), weights=angles(20, 16), **OUT3)
case("gqa_step_window", gqa(GQA, local_window_size=3), (STEPS, step), **OUT3)


def ragged(m, b, held):
    """One token each, behind different numbers of others."""
    before = m.i(0, held, b, dtype=np.int32)
    return {**step(m, b, 0, held), "seqlens": before, "total": np.array(before.max() + 1, np.int32)}


def chunk(m, s, past, held):
    """Several tokens behind others."""
    return {**prompt(m, 1, s), "pk": m.f(1, 2, held, 16), "pv": m.f(1, 2, held, 16),
            "seqlens": np.array([past + s - 1], np.int32), "total": np.array(past + s, np.int32)}


case("gqa_step_ragged", gqa(GQA + ["cos", "sin"], do_rotary=1), ([(1, 12), (4, 16), (3, 9)], ragged), weights=angles(20, 16))
case("gqa_chunk", gqa(GQA + ["cos", "sin"], do_rotary=1), ([(3, 4, 4), (5, 2, 2), (2, 7, 7)], chunk), weights=angles(20, 16),
     **OUT3)
case("gqa_chunk_window", gqa(GQA + ["cos", "sin"], do_rotary=1, local_window_size=3), ([(3, 4, 10), (5, 2, 8), (2, 7, 16)], chunk),
     weights=angles(20, 16))
# In a cache with room to spare, what lies behind the keys so far is not defined: only y is compared.
case("gqa_step_shared", gqa(GQA + ["cos", "sin"], do_rotary=1), ([(1, 4, 12), (2, 7, 16), (3, 1, 9)], step),
     weights=angles(20, 16))

# ---- loops ----


def body(name, nodes, inputs, outputs, constants=()):
    infos = lambda names: [helper.make_tensor_value_info(n, kind, *shape or [None]) for n, kind, *shape in names]
    return helper.make_graph(nodes, name, infos(inputs), infos(outputs), [numpy_helper.from_array(v, n) for n, v in constants])


# Newton's square roots, until no root is further than 1e-3 from its square: how many steps that takes, the data tells.
newton = body("newton", [
    helper.make_node("Div", ["x", "old"], ["quotient"]), helper.make_node("Add", ["old", "quotient"], ["twice"]),
    helper.make_node("Mul", ["twice", "half"], ["new"]), helper.make_node("Mul", ["new", "new"], ["square"]),
    helper.make_node("Sub", ["square", "x"], ["off"]), helper.make_node("Abs", ["off"], ["distance"]),
    helper.make_node("ReduceMax", ["distance"], ["worst"], keepdims=0), helper.make_node("Greater", ["worst", "close"], ["go"]),
    helper.make_node("ReduceSum", ["new"], ["row"], keepdims=0)],
    [("i", I64, []), ("before", TensorProto.BOOL, []), ("old", F32, [None, None])],
    [("go", TensorProto.BOOL, []), ("new", F32, [None, None]), ("row", F32, [])],
    [("half", np.float32(0.5)), ("close", np.float32(1e-3))])
case("loop_newton", helper.make_node("Loop", ["most", "", "x"], ["y", "sums"], body=newton),
     ([(3, 4, 20), (1, 1, 20), (7, 2, 3), (2, 5, 0)],
      lambda m, a, b, most: {"x": np.abs(m.f(a, b)) + 0.5, "most": np.array(most, np.int64)}), outputs=("y", "sums"))
cell = body("cell", [
    helper.make_node("MatMul", ["h", "w"], ["t"]), helper.make_node("Add", ["t", "x_t"], ["u"]),
    helper.make_node("Tanh", ["u"], ["h_next"]), helper.make_node("Neg", ["h_next"], ["y_t"])],
    [("h", F32, [None, 8]), ("x_t", F32, [None, 8])], [("h_next", F32, [None, 8]), ("y_t", F32, [None, 8])])
for backward in (0, 1):
    case(f"scan_recurrent_{backward}", helper.make_node("Scan", ["h0", "x"], ["h", "y"], num_scan_inputs=1, body=cell,
                                                        scan_input_directions=[backward], scan_output_axes=[1]),
         ([(5, 2), (1, 1), (17, 3)], lambda m, t, b: {"h0": m.f(b, 8), "x": m.f(t, b, 8)}),
         weights={"w": lambda m: m.f(8, 8, scale=0.3)}, outputs=("h", "y"))

# ---- functions ----


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), opset=17):
    return helper.make_function("local", name, inputs, outputs, nodes,
                                [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)], list(attributes), list(defaults))


def reference(node, **references):
    for name, (of, kind) in references.items():
        attribute = node.attribute.add()
        attribute.name, attribute.ref_attr_name, attribute.type = name, of, kind
    return node


FLOAT, INT = onnx.AttributeProto.FLOAT, onnx.AttributeProto.INT
norm = function("Norm", ["x", "g"], ["y"], [
    reference(helper.make_node("Constant", [], ["e"]), value_float=("epsilon", FLOAT)),
    helper.make_node("Mul", ["x", "x"], ["t"]),
    helper.make_node("ReduceMean", ["t"], ["m"], axes=[-1]),
    helper.make_node("Add", ["m", "e"], ["v"]),
    helper.make_node("Sqrt", ["v"], ["r"]),
    helper.make_node("Div", ["x", "r"], ["n"]),
    helper.make_node("Mul", ["n", "g"], ["y"])], defaults=[helper.make_attribute("epsilon", 0.5)])
block = function("Block", ["x", "g", "w"], ["y"], [
    helper.make_node("Norm", ["x", "g"], ["t"], domain="local"),
    helper.make_node("MatMul", ["t", "w"], ["p"]),
    reference(helper.make_node("LeakyRelu", ["p"], ["a"]), alpha=("slope", FLOAT)),
    reference(helper.make_node("Norm", ["a", "g"], ["b"], domain="local"), epsilon=("slope", FLOAT)),
    helper.make_node("Add", ["b", "x"], ["y"])], attributes=["slope"])
local = lambda op, inputs, outputs, **attributes: helper.make_node(op, inputs, outputs, domain="local", **attributes)
case("functions", [local("Block", ["x", "g", "w"], ["t"], slope=0.25), local("Block", ["t", "g", "w"], ["u"], slope=0.5),
                   local("Norm", ["u", "g"], ["y"], epsilon=0.125)],
     (TOKENS, lambda m, b, s, h: {"x": m.f(b, s, h)}), weights={"g": lambda m: m.f(32), "w": lambda m: m.f(32, 32, scale=0.2)},
     functions=[norm, block])
case("functions_of_microsoft", [local("Act", ["x"], ["y"])], (ROWS, lambda m, a, b: {"x": m.f(a, b)}),
     functions=[helper.make_function("local", "Act", ["x"], ["y"], [ms("QuickGelu", ["x"], ["y"])],
                                     [helper.make_opsetid("com.microsoft", 1)])])


# ---- whole models after onnxruntime's optimizer ----

def write_optimized(out, models, name, cases):
    """The stored cases of a model (tests/models/expected.py), with what the optimizer made of it."""
    folder = out / "node" / f"optimized_{name}"
    folder.mkdir(parents=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(models / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    fused = {node.op_type for node in onnx.load(folder / "model.onnx").graph.node if node.domain == "com.microsoft"}
    assert fused, f"{name}: the optimizer makes no ops of its own"
    (folder / "tol.json").write_text(json.dumps({"rtol": 1e-3, "atol": 1e-4}))
    ends = [("input", "in", session.get_inputs()), ("output", "out", session.get_outputs())]
    for i, case_name in enumerate(cases):
        data_set = folder / f"test_data_set_{i}"
        data_set.mkdir()
        for kind, prefix, infos in ends:
            for j, info in enumerate(infos):
                value = np.load(models / "cases" / name / case_name / f"{prefix}_{info.name.replace('/', '_')}.npy")
                (data_set / f"{kind}_{j}.pb").write_bytes(numpy_helper.from_array(value, info.name).SerializeToString())


def main():
    out, models = map(pathlib.Path, sys.argv[1:3])
    shutil.rmtree(out, ignore_errors=True)
    for c in CASES:
        try:
            write(out, c)
        except Exception as error:
            sys.exit(f"contrib.py: {c['name']}: {error}")
    write_optimized(out, models, "rapidocr_rec", ["1x48x320", "3x48x160"])
    write_optimized(out, models, "minilm_int8", ["1x6", "3x17"])
    for folder in ("simple", "pytorch-converted", "pytorch-operator"):
        (out / folder).mkdir()
    print(f"contrib.py: {len(CASES) + 2} cases in {out}")


main()
