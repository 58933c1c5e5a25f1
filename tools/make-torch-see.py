#!/usr/bin/python3
"""Makes tests/golden/torch-see.txt: saliency, Grad-CAM and occlusion as PyTorch computes them.

usage: tools/make-torch-see.py build/tests/test-see > tests/golden/torch-see.txt

Needs PyTorch and NumPy (Debian: python3-torch). The test program is run with --dump for the weights and the image;
the network below, its gradients and the maps are computed here, in float64.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import torch.nn.functional as F

CLASS, COVER, STRIDE, FILL = 1, 4, 3, 0.25


def read_weights(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    weights = {}
    for name, tensor in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            values = numpy.frombuffer(data[start + begin:start + end], "<f4")
            weights[name] = torch.tensor(values.reshape(tensor["shape"]), dtype=torch.float64)
    return weights


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[1], "--dump", folder], check=True)
    w = read_weights(pathlib.Path(folder, "see.safetensors"))
    image = numpy.fromfile(pathlib.Path(folder, "see.image"), "<f4").reshape(1, 2, 12, 12)
x = torch.tensor(image, dtype=torch.float64, requires_grad=True)


def network(x):
    """The scores, and the outputs of layers."""
    r1 = F.relu(F.conv2d(x, w["c1.weight"], w["c1.bias"]))
    c2 = F.conv2d(F.max_pool2d(r1, 2), w["c2.weight"], w["c2.bias"])
    b2 = F.batch_norm(c2, w["b2.running_mean"], w["b2.running_var"], w["b2.weight"], w["b2.bias"], eps=1e-5)
    return F.linear(F.relu(b2).flatten(1), w["f1.weight"], w["f1.bias"]), {"r1": r1, "c2": c2}


def write(name, values):
    print(name, *(f"{v:.9g}" for v in values.detach().flatten().tolist()))


scores, outputs = network(x)
wanted = [x, outputs["r1"], outputs["c2"]]
dx, *slopes = torch.autograd.grad(scores[0, CLASS], wanted)
print(f"# Maps of the network of tests/unit/see.c by PyTorch {torch.__version__} in float64: tools/make-torch-see.py")
write("saliency", dx.abs().amax(dim=1))
for name, slope in zip(("r1", "c2"), slopes):
    write(f"grad-cam-{name}", F.relu((slope.mean(dim=(2, 3), keepdim=True) * outputs[name]).sum(dim=1)))

whole = F.softmax(scores, dim=1)[0, CLASS]
fall, covered = torch.zeros(12, 12, dtype=torch.float64), torch.zeros(12, 12, dtype=torch.float64)
corners = sorted({min(at, 12 - COVER) for at in range(0, 12 - COVER + STRIDE, STRIDE)})
for top in corners:
    for left in corners:
        square = x.detach().clone()
        square[:, :, top:top + COVER, left:left + COVER] = FILL
        fall[top:top + COVER, left:left + COVER] += whole - F.softmax(network(square)[0], dim=1)[0, CLASS]
        covered[top:top + COVER, left:left + COVER] += 1
write("occlusion", fall / covered)
