#!/usr/bin/python3
"""Makes tests/golden/torch-batchnorm.txt: what PyTorch's batch_norm gives, forward and backward.

usage: tools/make-torch-batchnorm.py [--out FILE]

Needs PyTorch and NumPy (Debian: python3-torch). Everything is computed in float64 from float32 values that
tests/unit/batchnorm.c makes by the same formula.
"""
import argparse
import pathlib
import platform

import numpy
import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent

# n, c, h, w, epsilon, momentum, what is added to x
CASES = [
    (3, 18, 2, 3, 1e-5, 0.1, 0.0),
    (6, 3, 1, 1, 1e-3, 0.3, 0.0),
    (4, 5, 3, 2, 1e-5, 0.01, 100.0),
    (1, 5, 3, 7, 0.5, 1.0, -3.0),
]


def pattern(shape, factor, offset, modulus, divisor):
    """Element i is ((i factor + offset) mod modulus - modulus // 2) / divisor in float32."""
    i = numpy.arange(numpy.prod(shape), dtype=numpy.int64)
    values = (i * factor + offset) % modulus - modulus // 2
    return torch.tensor(values.astype(numpy.float32).reshape(shape) / numpy.float32(divisor))


def listed(name, tensor):
    values = [f"{v:.10g}" for v in tensor.detach().flatten().tolist()]
    return f"{name} {len(values)}\n" + "".join(" ".join(values[i:i + 8]) + "\n" for i in range(0, len(values), 8))


def normalise(case):
    """Two training steps on two batches, then the first batch in evaluation."""
    shape, (epsilon, momentum, added) = case[:4], case[4:]
    channels = shape[1]
    weight = pattern((channels,), 31, 5, 41, 16).double().requires_grad_()
    bias = pattern((channels,), 17, 3, 29, 8).double().requires_grad_()
    mean, var = torch.zeros(channels).double(), torch.ones(channels).double()
    text = "\ncase " + " ".join(str(v) for v in case) + "\n"
    for step in range(2):
        x = (pattern(shape, 7919, 3 + step, 2001, 400) + torch.tensor(added)).double().requires_grad_()
        weight.grad = bias.grad = None
        y = F.batch_norm(x, mean, var, weight, bias, True, momentum, epsilon)
        y.backward(pattern(shape, 104729, 17 + step, 1999, 500).double())
        text += listed("y", y) + listed("dx", x.grad) + listed("dweight", weight.grad) + listed("dbias", bias.grad)
        text += listed("running_mean", mean) + listed("running_var", var)
    x = (pattern(shape, 7919, 3, 2001, 400) + torch.tensor(added)).double()
    return text + listed("evaluated", F.batch_norm(x, mean, var, weight, bias, False, momentum, epsilon))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden" / "torch-batchnorm.txt",
                        help="the file to write (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = "".join(f"# {line}\n" for line in [
        "torch.nn.functional.batch_norm, in float64, of values that tests/unit/batchnorm.c makes too.",
        "Each case: n c h w, epsilon, momentum, what is added to x. Then for two training steps: the output y; the",
        "gradients for a given dy; the running mean and variance after it. Then the first x again, in evaluation.",
        "Made by tools/make-torch-batchnorm.py.",
        f"PyTorch {torch.__version__}, NumPy {numpy.__version__}, Python {platform.python_version()},"
        f" {platform.machine()}, 1 thread."])
    options.out.write_text(text + "".join(normalise(case) for case in CASES))
    print(options.out)


if __name__ == "__main__":
    main()
