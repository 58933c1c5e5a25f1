#!/usr/bin/python3
"""Makes tests/golden/torch-layers.txt: what PyTorch gives for single layers, and for networks of nets/ made of
them, in float64, where tests/unit/torch_layers.c gives the same in float32.

usage: tools/make-layer-golden.py build/tests/test-torch_layers [--out FOLDER]

Needs PyTorch and NumPy (Debian: python3-torch). The test program is run with --dump for the networks' first
weights; inputs, gradients and the weights of single layers are patterns that both sides make.
"""
import argparse
import json
import pathlib
import platform
import subprocess
import tempfile

import numpy
import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent

C3 = "0-2/1-3/2-4/3-5/0,4-5/0-1,5/0-3/1-4/2-5/0,3-5/0-1,4-5/0-2,5/0-1,3-4/1-2,4-5/0,2-3,5/0-5"


def pattern(shape, factor, offset, modulus, divisor):
    """Element i is ((i factor + offset) mod modulus - modulus // 2) / divisor in float32."""
    i = numpy.arange(numpy.prod(shape), dtype=numpy.int64)
    values = (i * factor + offset) % modulus - modulus // 2
    return torch.tensor(values.astype(numpy.float32).reshape(shape) / numpy.float32(divisor)).double()


def read_weights(path):
    """The tensors of a safetensors file: 8 bytes of length, JSON, floats."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    weights = {}
    for name, tensor in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            values = numpy.frombuffer(data[start + begin:start + end], "<f4").reshape(tensor["shape"])
            weights[name] = torch.tensor(values).double().requires_grad_(".running_" not in name)
    return weights


def table_conv(x, weight, bias, table, **options):
    """Convolution by a table of connections: a dense one whose other weights are constant zeros."""
    pairs = []
    for f, channels in enumerate(table.split("/")):
        for item in channels.split(","):
            first, _, last = item.partition("-")
            pairs += [(f, c) for c in range(int(first), int(last or first) + 1)]
    dense = torch.zeros(len(bias), x.shape[1], *weight.shape[1:], dtype=weight.dtype)
    dense = dense.index_put(tuple(torch.tensor(pairs).t()), weight)
    return F.conv2d(x, dense, bias, **options)


def subsample(x, weight, bias, kernel, **options):
    total = F.avg_pool2d(x, kernel, **options) * kernel * kernel
    return total * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


# The line of the layer; n, c, h, w; the shapes of its weights; what PyTorch does with x and weights.
CASES = [
    ("leaky-relu slope=0.2", (2, 5, 3, 4), [], lambda x: F.leaky_relu(x, 0.2)),
    ("elu", (2, 5, 3, 4), [], lambda x: F.elu(x)),
    ("elu alpha=0.5", (2, 18, 1, 3), [], lambda x: F.elu(x, 0.5)),
    ("tanh scale=1.7159 slope=0.66666667", (2, 5, 3, 4), [], lambda x: 1.7159 * torch.tanh(0.66666667 * x)),
    ("global-avgpool", (2, 18, 3, 5), [], lambda x: F.adaptive_avg_pool2d(x, 1)),
    ("global-maxpool", (2, 18, 3, 5), [], lambda x: F.adaptive_max_pool2d(x, 1)),
    ("subsample kernel=2", (2, 6, 4, 6), [(6,), (6,)], lambda x, w, b: subsample(x, w, b, 2)),
    ("subsample kernel=3 stride=2 pad=1", (2, 18, 5, 3), [(18,), (18,)],
     lambda x, w, b: subsample(x, w, b, 3, stride=2, padding=1)),
    ("table-conv kernel=3 connections=" + C3, (2, 6, 5, 7), [(60, 3, 3), (16,)],
     lambda x, w, b: table_conv(x, w, b, C3)),
    ("table-conv kernel=3x2 pad=2x1 connections=0/1-2/0,2", (3, 3, 4, 5), [(5, 3, 2), (3,)],
     lambda x, w, b: table_conv(x, w, b, "0/1-2/0,2", padding=(2, 1))),
    ("conv filters=18 groups=18 kernel=3 pad=1", (2, 18, 5, 6), [(18, 1, 3, 3), (18,)],
     lambda x, w, b: F.conv2d(x, w, b, groups=18, padding=1)),
    ("conv filters=5 groups=5 kernel=5x4 stride=2 pad=2 round=floor", (2, 5, 8, 9), [(5, 1, 5, 4), (5,)],
     lambda x, w, b: F.conv2d(x, w, b, groups=5, padding=2, stride=2)),
]


def lenet5_1998(w, x, training):
    def activation(x):
        return 1.7159 * torch.tanh(0.66666667 * x)
    x = activation(F.conv2d(x, w["c1.weight"], w["c1.bias"], padding=2))
    x = activation(subsample(x, w["s2.weight"], w["s2.bias"], 2))
    x = activation(table_conv(x, w["c3.weight"], w["c3.bias"], C3))
    x = activation(subsample(x, w["s4.weight"], w["s4.bias"], 2))
    x = activation(F.conv2d(x, w["c5.weight"], w["c5.bias"])).flatten(1)
    x = activation(F.linear(x, w["f6.weight"], w["f6.bias"]))
    return F.linear(x, w["output.weight"], w["output.bias"])


def mobile(w, x, training):
    convolutions = 0

    def convolve(x, name, **options):
        nonlocal convolutions
        convolutions += 1
        norm = f"batchnorm{convolutions}."
        x = F.conv2d(x, w[name + ".weight"], **options)
        return F.relu(F.batch_norm(x, w[norm + "running_mean"], w[norm + "running_var"], w[norm + "weight"],
                                   w[norm + "bias"], training, momentum=0))
    x = convolve(x, "conv1", padding=1)
    for i, stride in enumerate([1, 2, 1, 2, 1], 1):
        x = convolve(x, f"dw{i}", stride=stride, padding=1, groups=x.shape[1])
        x = convolve(x, f"pw{i}")
    return F.linear(x.mean((2, 3)), w["affine1.weight"], w["affine1.bias"])


# Name; channels, height and width of its input.
NETS = [("lenet5-1998", (1, 28, 28), lenet5_1998), ("mobile", (3, 32, 32), mobile)]
BATCH, SAMPLES = 4, 64


def listed(name, tensor):
    values = [f"{v:.9g}" for v in tensor.detach().flatten().tolist()]
    return f"{name} {len(values)}\n" + "".join(" ".join(values[i:i + 8]) + "\n" for i in range(0, len(values), 8))


def make_layer(line, shape, weight_shapes, run):
    x = pattern(shape, 7919, 3, 2001, 400).requires_grad_()
    weights = [pattern(s, 31337, 5 + k, 1009, 1000).requires_grad_() for k, s in enumerate(weight_shapes)]
    y = run(x, *weights)
    y.backward(pattern(y.shape, 104729, 17, 1999, 500))
    text = f"\nlayer {line.replace(' ', '_')} {' '.join(str(d) for d in shape)}\n" + listed("y", y) + listed("dx", x.grad)
    return text + "".join(listed("dw", w.grad) for w in weights)


def make_net(name, shape, run, dump):
    w = read_weights(dump / (name + ".safetensors"))
    trained = {key: v for key, v in w.items() if v.requires_grad}
    x = pattern((BATCH,) + shape, 7919, 3, 2001, 1000)
    loss = F.cross_entropy(run(w, x, True), torch.tensor([0, 3, 9, 5]))
    loss.backward()
    text = f"\nnet {name} {loss.item():.12g} {len(trained)}\n"
    text += listed("log-probabilities", F.log_softmax(run(w, x, False), 1))
    for key, v in trained.items():
        gradient = v.grad.flatten()
        step = (len(gradient) + SAMPLES - 1) // SAMPLES
        text += f"{key} {v.grad.norm().item():.9g}\n" + listed("every", gradient[::step])
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", type=pathlib.Path, help="the test program, such as build/tests/test-torch_layers")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden", help="where to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = "".join(f"# {line}\n" for line in [
        "Layers and networks in PyTorch, in float64, of values and weights that tests/unit/torch_layers.c has too.",
        "layer: its line in a network, n c h w; the output y; for a given dy the gradients dx and dw of each weight.",
        "net: name, loss, number of weights; logarithms of its output; of each weight's gradient the norm, and of its",
        f"elements, spread evenly, at most {SAMPLES}.",
        "Made by tools/make-layer-golden.py, which says how.",
        f"PyTorch {torch.__version__}, NumPy {numpy.__version__}, Python {platform.python_version()},"
        f" {platform.machine()}, 1 thread."])
    with tempfile.TemporaryDirectory() as folder:
        dump = pathlib.Path(folder)
        subprocess.run([options.test.resolve(), "--dump", dump], check=True)
        text += "".join(make_layer(*case) for case in CASES)
        text += "".join(make_net(*net, dump) for net in NETS)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "torch-layers.txt").write_text(text)
    print(options.out / "torch-layers.txt")


if __name__ == "__main__":
    main()
