"""cases.py OUT: writes the cases of the ONNX backend suite into OUT/{node,simple,pytorch-converted,pytorch-operator}.

Each case is a folder: model.onnx, test_data_set_N/{input,output}_M.pb, tol.json. The onnx package holds the node cases in
memory only (its own generate-data writes no data sets), the others in its data folder, which is copied.
"""

import json
import pathlib
import shutil
import sys
import warnings

import numpy
import onnx.backend.test
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_node_model_tests

FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")


def proto(value, info):
    """A value as the message that its declared type asks for."""
    kind = info.type
    if kind.HasField("map_type"):
        return numpy_helper.from_dict(value, info.name)
    if kind.HasField("sequence_type"):
        return numpy_helper.from_list(value, info.name)
    if kind.HasField("optional_type"):
        return numpy_helper.from_optional(value, info.name)
    if isinstance(value, TensorProto):
        return value
    return numpy_helper.from_array(numpy.asarray(value), info.name)


def write_case(folder, case):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    (folder / "tol.json").write_text(json.dumps({"rtol": case.rtol, "atol": case.atol}))
    graph = case.model.graph
    for index, (inputs, outputs) in enumerate(case.data_sets):
        data_set = folder / f"test_data_set_{index}"
        data_set.mkdir()
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for j, value in enumerate(values):
                (data_set / f"{kind}_{j}.pb").write_bytes(proto(value, infos[j]).SerializeToString())


def main():
    out = pathlib.Path(sys.argv[1])
    warnings.filterwarnings("ignore")
    shutil.rmtree(out, ignore_errors=True)
    cases = load_node_model_tests()
    for case in cases:
        write_case(out / "node" / case.name, case)
    data = pathlib.Path(onnx.backend.test.__file__).parent / "data"
    for name in FOLDERS:
        shutil.copytree(data / name, out / name)
    print(f"cases.py: {len(cases)} node cases and {', '.join(FOLDERS)} in {out}")


main()
