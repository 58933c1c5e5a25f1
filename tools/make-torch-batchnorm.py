#!/usr/bin/python3
"""Makes tests/golden/torch-batchnorm.txt and torch-resnet20.txt: what PyTorch gives for batch normalisation,
and for a network with it whose branches join.

usage: tools/make-torch-batchnorm.py build/tests/test-torch_resnet [--out FOLDER]

Needs PyTorch and NumPy (Debian: python3-torch). Everything is computed in float64, from float32 values that
tests/unit/batchnorm.c and torch_resnet.c make by the same formula, and from the initial weights that the test
program leaves in a folder when it is run with --dump.
"""
import argparse
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import tempfile

import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load(path):
    """Another script as a module, though its name has a hyphen."""
    loader = importlib.machinery.SourceFileLoader("golden", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("golden", loader))
    loader.exec_module(module)
    return module


golden = load(ROOT / "tools" / "make-torch-golden.py")
pattern, listed = golden.pattern, golden.listed


def header(what):
    return golden.header(what).replace("make-torch-golden.py", "make-torch-batchnorm.py")


# n, c, h, w, epsilon, momentum, what is added to x
CASES = [
    (3, 18, 2, 3, 1e-5, 0.1, 0.0),
    (6, 3, 1, 1, 1e-3, 0.3, 0.0),
    (4, 5, 3, 2, 1e-5, 0.01, 100.0),
    (1, 5, 3, 7, 0.5, 1.0, -3.0),
]


def normalise(case):
    """Two training steps on two batches, then the first batch in evaluation."""
    shape, (epsilon, momentum, added) = case[:4], case[4:]
    channels = shape[1]
    weight = pattern((channels,), 31, 5, 41, 16).requires_grad_()
    bias = pattern((channels,), 17, 3, 29, 8).requires_grad_()
    mean, var = torch.zeros(channels).double(), torch.ones(channels).double()
    text = "\ncase " + " ".join(str(v) for v in case) + "\n"
    for step in range(2):
        x = (pattern(shape, 7919, 3 + step, 2001, 400).float() + added).double().requires_grad_()
        weight.grad = bias.grad = None
        y = F.batch_norm(x, mean, var, weight, bias, True, momentum, epsilon)
        y.backward(pattern(shape, 104729, 17 + step, 1999, 500))
        text += listed("y", y) + listed("dx", x.grad) + listed("dweight", weight.grad) + listed("dbias", bias.grad)
        text += listed("running_mean", mean) + listed("running_var", var)
    x = (pattern(shape, 7919, 3, 2001, 400).float() + added).double()
    return text + listed("evaluated", F.batch_norm(x, mean, var, weight, bias, False, momentum, epsilon))


def make_batchnorm():
    return header([
        "torch.nn.functional.batch_norm, in float64, of values that tests/unit/batchnorm.c makes too.",
        "Each case: n c h w, epsilon, momentum, what is added to x. Then for two training steps: the output y; the",
        "gradients for a given dy; the running mean and variance after it. Then the first x again, in evaluation.",
    ]) + "".join(normalise(case) for case in CASES)


class ResNet20:
    """nets/resnet20.net, of weights that are named as they stand there: conv1, batchnorm1, ... in turn."""

    def __init__(self, weights, training):
        self.weights, self.training, self.convs, self.norms = weights, training, 0, 0

    def conv(self, x, stride=1, name=None):
        """A convolution and the normalisation after it."""
        w = self.weights
        self.convs += 1
        self.norms += 1
        name = name or f"batchnorm{self.norms}"
        filters = w[f"conv{self.convs}.weight"]
        x = F.conv2d(x, filters, stride=stride, padding=filters.shape[2] // 2)
        return F.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".weight"],
                            w[name + ".bias"], self.training, 0)

    def __call__(self, x):
        x = F.relu(self.conv(x))
        for stage in (1, 2, 3):
            for block in (1, 2, 3):
                first = stage > 1 and block == 1
                y = self.conv(F.relu(self.conv(x, 2 if first else 1)), name=f"s{stage}b{block}")
                x = F.relu(y + (self.conv(x, 2, f"s{stage}shortcut") if first else x))
        return F.linear(F.avg_pool2d(x, 8).flatten(1), self.weights["affine1.weight"], self.weights["affine1.bias"])


def sampled(tensor):
    """At most 32 elements, evenly spaced."""
    flat = tensor.flatten()
    return flat[::(len(flat) + 31) // 32]


def make_resnet(dump):
    weights = {name: w.double() for name, w in golden.read_weights(dump / "resnet20.safetensors").items()}
    trained = {name: w.requires_grad_() for name, w in weights.items() if ".running_" not in name}
    x = pattern((4, 3, 32, 32), 7919, 3, 2001, 400)
    scores = ResNet20(weights, True)(x)
    loss = F.cross_entropy(scores, torch.tensor([3, 1, 4, 1]))
    loss.backward()
    text = header([
        "nets/resnet20.net in PyTorch, in float64, of a batch and weights that tests/unit/torch_resnet.c makes too.",
        "The loss and the scores of a training step, the probabilities of evaluation; then of each weight's gradient",
        "the norm, and up to 32 of its elements, evenly spaced."])
    text += f"\nloss {loss.item():.12g}\n" + listed("scores", scores)
    text += listed("probabilities", F.softmax(ResNet20(weights, False)(x), dim=1))
    return text + "".join(f"norm {float(w.grad.norm()):.12g}\n" + listed(name, sampled(w.grad))
                          for name, w in trained.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", type=pathlib.Path, help="the test program, such as build/tests/test-torch_resnet")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden", help="where to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.test.resolve(), "--dump", folder], check=True)
        files = {"torch-batchnorm.txt": make_batchnorm(), "torch-resnet20.txt": make_resnet(pathlib.Path(folder))}
    for name, text in files.items():
        (options.out / name).write_text(text)
        print(options.out / name)


if __name__ == "__main__":
    main()
