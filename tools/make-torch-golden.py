#!/usr/bin/python3
"""Makes tests/golden/torch-*.txt: what PyTorch gives where libcnn's tests train or normalise.

usage: tools/make-torch-golden.py build/tests/test-torch [--mnist FOLDER] [--out FOLDER]

Needs PyTorch and NumPy (Debian: python3-torch) and MNIST (cnn data fetch mnist). The test program is run
with --dump for what both must share and PyTorch cannot know: the initial weights, which images each
mini-batch takes, and the settings of each run. All else is PyTorch's own: the networks below, the losses,
the gradients, the optimisers, and the reading of MNIST's files.

Each run is computed in float32 and in float64, from the same float32 weights and pixels; the differences
between the two are printed.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import tempfile

import numpy
import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent


def read_weights(path):
    """The tensors of a safetensors file: 8 bytes of length, JSON, floats."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    weights = {}
    for name, tensor in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        assert tensor["dtype"] == "F32"
        begin, end = tensor["data_offsets"]
        values = numpy.frombuffer(data[start + begin:start + end], "<f4")
        weights[name] = torch.tensor(values.reshape(tensor["shape"]))
    return weights


def read_idx(path):
    """An IDX file of bytes: 0 0 8 rank, dimensions of 4 bytes each, elements."""
    data = path.read_bytes()
    assert data[:3] == b"\0\0\x08"
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return torch.tensor(numpy.frombuffer(data[4 + 4 * rank:], numpy.uint8).reshape(shape))


def read_order(path):
    return [[int(word) for word in line.split()] for line in path.read_text().splitlines()]


def simple_conv_net(w, x):
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2)
    x = F.relu(F.linear(x.flatten(1), w["affine1.weight"], w["affine1.bias"]))
    return F.linear(x, w["affine2.weight"], w["affine2.bias"])


def tiny_net(w, x):
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2)
    return F.linear(x.flatten(1), w["affine1.weight"], w["affine1.bias"])


def squared_error(scores, labels):
    """1/2 of the sum over classes, the mean over images, of what the last softmax gives."""
    y = F.softmax(scores, dim=1)
    return 0.5 * ((y - F.one_hot(labels, y.shape[1])) ** 2).sum(dim=1).mean()


LOSSES = {"cross-entropy": F.cross_entropy, "mse": squared_error}

OPTIMIZERS = {
    "sgd": lambda p, s: torch.optim.SGD(p, lr=s["lr"]),
    "momentum": lambda p, s: torch.optim.SGD(p, lr=s["lr"], momentum=s["momentum"]),
    "nesterov": lambda p, s: torch.optim.SGD(p, lr=s["lr"], momentum=s["momentum"], nesterov=True),
    "adagrad": lambda p, s: torch.optim.Adagrad(p, lr=s["lr"], eps=s["epsilon"]),
    "rmsprop": lambda p, s: torch.optim.RMSprop(p, lr=s["lr"], alpha=s["decay"], eps=s["epsilon"]),
    "adam": lambda p, s: torch.optim.Adam(p, lr=s["lr"], betas=(s["beta1"], s["beta2"]), eps=s["epsilon"]),
}


def train(net, weights, images, labels, order, settings, dtype):
    """Losses of all mini-batches, and the weights after them."""
    weights = {name: w.to(dtype, copy=True).requires_grad_() for name, w in weights.items()}
    images = (images.float() / 255).to(dtype).unsqueeze(1)
    labels = labels.long()
    optimizer = OPTIMIZERS[settings["optimizer"]](list(weights.values()), settings)
    loss_of = LOSSES[settings["loss"]]
    losses = []
    for batch in order:
        optimizer.zero_grad()
        loss = loss_of(net(weights, images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: w.detach().double() for name, w in weights.items()}


def header(what):
    return "".join(f"# {line}\n" for line in what + [
        "Made by tools/make-torch-golden.py, which says how.",
        f"PyTorch {torch.__version__}, NumPy {numpy.__version__}, Python {platform.python_version()},"
        f" {platform.machine()}, 1 thread."])


def make_simple_conv_net(dump, mnist):
    settings = {"optimizer": "adam", "loss": "cross-entropy", "lr": 0.001, "beta1": 0.9, "beta2": 0.999,
                "epsilon": 1e-8}
    weights = read_weights(dump / "simple-conv-net.safetensors")
    images, labels = read_idx(mnist / "train-images-idx3-ubyte"), read_idx(mnist / "train-labels-idx1-ubyte")
    order = read_order(dump / "simple-conv-net.order")
    single, _ = train(simple_conv_net, weights, images, labels, order, settings, torch.float32)
    double, _ = train(simple_conv_net, weights, images, labels, order, settings, torch.float64)
    print("simple-conv-net: float32 and float64 differ by at most",
          f"{max(abs(a - b) / b for a, b in zip(single, double)):.2g}")
    text = header([
        "Losses of nets/simple-conv-net.net in PyTorch, mini-batch after mini-batch, each before its step.",
        "MNIST, initial weights of seed 1, order of images of seed 1, mini-batches of 100; cross-entropy;",
        "torch.optim.Adam, lr 0.001, betas 0.9 and 0.999, eps 1e-8.",
        "Columns: step; loss in float32, which is what a user of PyTorch gets, but differs in its last digits",
        "from one machine to the next; loss in float64 from the same float32 weights and pixels, which is",
        "nearer to the truth than either side."])
    for step, (a, b) in enumerate(zip(single, double), 1):
        text += f"{step} {a:.9g} {b:.12g}\n"
    return text


def make_optimizers(dump):
    weights = read_weights(dump / "tiny.safetensors")
    images, labels, order = read_idx(dump / "images"), read_idx(dump / "labels"), read_order(dump / "tiny.order")
    text = header([
        f"Weights of the tiny network of tests/unit/torch.c in PyTorch after {len(order)} mini-batches, for each",
        "optimiser and loss. Computed in float64 from the same float32 weights and pixels.",
        "Each run: optimiser, loss, learning rate; then each weight: name, number of values, values."])
    for line in (dump / "tiny.jsonl").read_text().splitlines():
        settings = json.loads(line)
        _, single = train(tiny_net, weights, images, labels, order, settings, torch.float32)
        _, double = train(tiny_net, weights, images, labels, order, settings, torch.float64)
        apart = max(float((single[n] - w).norm() / (w - weights[n].double()).norm()) for n, w in double.items())
        print(f"{settings['optimizer']}, {settings['loss']}: float32 and float64 differ by at most {apart:.2g}")
        text += f"\n{settings['optimizer']} {settings['loss']} {settings['lr']}\n"
        for name, w in double.items():
            values = [f"{v:.9g}" for v in w.flatten().tolist()]
            text += f"{name} {len(values)}\n"
            text += "".join(" ".join(values[i:i + 8]) + "\n" for i in range(0, len(values), 8))
    return text


def pattern(shape, factor, offset, modulus, divisor):
    """Values both sides know without a file: element i is ((i factor + offset) mod modulus - modulus // 2) /
    divisor in float32."""
    i = numpy.arange(numpy.prod(shape), dtype=numpy.int64)
    values = (i * factor + offset) % modulus - modulus // 2
    return torch.tensor(values.astype(numpy.float32).reshape(shape) / numpy.float32(divisor)).double()


# n, c, h, w, size, alpha, beta, k
NORMALISATIONS = [
    (2, 16, 2, 3, 5, 1e-4, 0.75, 1.0),
    (2, 20, 2, 3, 5, 2.0, 0.75, 1.0),
    (1, 37, 1, 4, 4, 3.0, 0.75, 2.0),
    (1, 18, 2, 2, 2, 1.0, 0.5, 1.0),
    (1, 5, 3, 3, 3, 4.0, 1.25, 0.5),
    (1, 7, 1, 2, 16, 4.0, 0.75, 1.0),
]


def listed(name, tensor):
    values = [f"{v:.9g}" for v in tensor.detach().flatten().tolist()]
    return f"{name} {len(values)}\n" + "".join(" ".join(values[i:i + 8]) + "\n" for i in range(0, len(values), 8))


def make_lrn(dump):
    text = header([
        "torch.nn.functional.local_response_norm, in float64, of values that tests/unit/torch.c makes too.",
        "Each case: lrn, n c h w, size, alpha, beta, k; the output y; the gradient dx for a given dy.",
        "Last: loss and gradients of a network with conv, relu, lrn and maxpool, from the same float32 weights."])
    for case in NORMALISATIONS:
        shape, (size, alpha, beta, k) = case[:4], case[4:]
        x = pattern(shape, 7919, 3, 2001, 400).requires_grad_()
        y = F.local_response_norm(x, size, alpha, beta, k)
        y.backward(pattern(shape, 104729, 17, 1999, 500))
        text += "\nlrn " + " ".join(str(v) for v in case) + "\n" + listed("y", y) + listed("dx", x.grad)
    w = {name: v.double().requires_grad_() for name, v in read_weights(dump / "lrn.safetensors").items()}
    x = pattern((4, 2, 9, 9), 7919, 3, 2001, 400)
    x = F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], padding=1))
    x = F.max_pool2d(F.local_response_norm(x, 5, 2.0, 0.75, 1.0), 3, 2)
    loss = F.cross_entropy(F.linear(x.flatten(1), w["affine1.weight"], w["affine1.bias"]), torch.tensor([0, 1, 2, 1]))
    loss.backward()
    text += f"\nnet {loss.item():.12g}\n"
    return text + "".join(listed(name, v.grad) for name, v in w.items())


def data_folder():
    """Where `cnn data fetch` puts things."""
    if os.environ.get("CNN_DATA"):
        return pathlib.Path(os.environ["CNN_DATA"])
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cnn"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", type=pathlib.Path, help="the test program, such as build/tests/test-torch")
    parser.add_argument("--mnist", type=pathlib.Path, default=data_folder() / "mnist",
                        help="folder of MNIST's four files, uncompressed (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden", help="where to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dump = pathlib.Path(folder)
        subprocess.run([options.test.resolve(), "--dump", dump], check=True)
        files = {"torch-simple-conv-net.txt": make_simple_conv_net(dump, options.mnist),
                 "torch-optimizers.txt": make_optimizers(dump),
                 "torch-lrn.txt": make_lrn(dump)}
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (options.out / name).write_text(text)
        print(options.out / name)


if __name__ == "__main__":
    main()
