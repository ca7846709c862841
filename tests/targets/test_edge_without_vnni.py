"""Products on an x86 processor without VNNI, where onnxruntime adds unsigned by signed bytes in 16 bits, saturating.

Run under QEMU as a Haswell. That the plain operator is wrong there shows that the test can fail.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from edge_networks import need

HERE = Path(__file__).resolve().parent
SCRIPT = """
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, sys.argv[1])
from edge_networks import at_the_ends, images, mlp
from leanspike import ir, targets
from leanspike.core.trace import mismatches

x, weight = np.full((1, 64), 255, np.uint8), np.full((64, 16), 127, np.int8)
graph = helper.make_graph(
    [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
    "plain",
    [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 64])],
    [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 16])],
    [numpy_helper.from_array(weight, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print("plain", session.run(None, {"x": x})[0][0, 0] == 64 * 255 * 127)

cases = [at_the_ends("i8", kind, 8) for kind in ("u7", "u8", "i8", "u9")]
program = mlp("direct", 2)
cases.append((program, np.concatenate([images(program, 2), np.full((1, 784), 255, np.uint8)])))
wrong = 0
for name in ("onnx", "tflite"):
    for program, raw in cases:
        with tempfile.TemporaryDirectory() as folder:
            found = targets.run(targets.emit(name, program, Path(folder)), raw)
        wrong += sum(mismatches(ir.run(program, raw), found).values())
print("wrong", wrong)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks for an x86-64 processor")
def test_full_range_bytes_are_exact_on_a_haswell() -> None:
    need("onnx", "onnxruntime", "ai_edge_litert", "flatbuffers")
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        message = "needs qemu-x86_64 (apt install qemu-user)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    command = [emulator, "-cpu", "Haswell", sys.executable, "-c", SCRIPT, str(HERE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "plain False" in done.stdout
    assert "wrong 0" in done.stdout
