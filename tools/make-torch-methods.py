#!/usr/bin/python3
"""Makes tests/golden/torch-methods.txt: schedules, weight decay, clipping, ... as PyTorch has them.

usage: tools/make-torch-methods.py build/tests/test-torch_methods [--out FILE]

Needs PyTorch and NumPy (Debian: python3-torch). The test program is run with --dump for what both must share:
images, the images of each mini-batch, and for each run a model file with its initial weights, its network and
its settings. The schedules are torch.optim.lr_scheduler's, the decay that of torch.optim, clipping that of
torch.nn.utils, in float64.

Two things are not PyTorch's. Its momentum buffer leaves the learning rate out, so that a change of the rate
changes what it has gathered; ours, as the papers have it, holds lr times the gradient: the buffer is scaled to
match. And the average of weights is written out here: the sum of (1 - d) d^k w over the steps, over 1 - d^t.
"""
import argparse
import importlib.util
import json
import pathlib
import subprocess
import tempfile

import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler

ROOT = pathlib.Path(__file__).resolve().parent.parent


def sibling(name):
    spec = importlib.util.spec_from_file_location("golden", ROOT / "tools" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOLDEN = sibling("make-torch-golden.py")

# text, epochs of warm-up, epochs, steps of an epoch
SCHEDULES = [
    ("constant ", 0, 2, 3),
    ("constant ", 1.5, 3, 4),
    ("step every=2", 0, 7, 3),
    ("step every=1.5 factor=0.5", 0.5, 5, 4),
    ("step every=0.1 factor=0.9", 0, 2, 30),
    ("multistep at=2,3,4.5", 0, 6, 4),
    ("multistep at=1,2 factor=0.3", 1, 3, 5),
    ("exponential factor=0.95", 0, 9, 2),
    ("cosine ", 0, 5, 7),
    ("cosine end=0.05", 2, 6, 5),
    ("one-cycle ", 0, 10, 5),
    ("one-cycle rise=0.4 start=0.1 end=0.001 shape=linear", 1, 8, 5),
]
PLATEAU = "plateau factor=0.5 patience=2 threshold=0.01 least=0.1"
MEASURES = [1, 0.9, 0.895, 0.892, 0.893, 0.8, 0.8, 0.81, 0.82, 0.83, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]


def parse(text):
    name, *words = text.split()
    return name, dict(word.split("=") for word in words)


def stepped(make, count):
    """The learning rates of `count` steps under a scheduler, from 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def factors(text, warmup, epochs, epoch):
    name, keys = parse(text)
    number = lambda key, standard: float(keys.get(key, standard))
    total, first = epochs * epoch, int(warmup * epoch + 0.5)
    if name == "constant":
        rates = [1.0] * total
    elif name == "step":
        factor = number("factor", 0.1)
        rates = stepped(lambda o: lr_scheduler.StepLR(o, round(number("every", 0) * epoch), factor), total)
    elif name == "multistep":
        at = [round(float(e) * epoch) for e in keys["at"].split(",")]
        rates = stepped(lambda o: lr_scheduler.MultiStepLR(o, at, number("factor", 0.1)), total)
    elif name == "exponential":
        by_epoch = stepped(lambda o: lr_scheduler.ExponentialLR(o, number("factor", 0)), epochs)
        rates = [by_epoch[step // epoch] for step in range(total)]
    elif name == "cosine":
        make = lambda o: lr_scheduler.CosineAnnealingLR(o, total - first, number("end", 0))
        rates = stepped(make, total - first)
        rates = [1.0] * first + rates
    elif name == "one-cycle":
        start, end = number("start", 0.04), number("end", 4e-6)
        shape = {"cosine": "cos", "linear": "linear"}[keys.get("shape", "cosine")]
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=total - first, pct_start=number("rise", 0.3),
                                            anneal_strategy=shape, cycle_momentum=False, div_factor=1 / start,
                                            final_div_factor=start / end)
        rates = []
        for step in range(total - first):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if step < total - first - 1:
                scheduler.step()
        rates = rates[:1] * first + rates
    if first:
        rise = stepped(lambda o: lr_scheduler.LinearLR(o, 1 / first, 1.0, max(first - 1, 1)), first)
        rates = [a * b for a, b in zip(rise, rates)] + rates[first:]
    return rates


def plateau():
    _, keys = parse(PLATEAU)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=float(keys["factor"]), patience=int(keys["patience"]),
                                               threshold=float(keys["threshold"]), min_lr=float(keys["least"]), eps=0)
    rates = []
    for measure in MEASURES:
        scheduler.step(measure)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


OPTIMIZERS = {
    **{name: make for name, make in GOLDEN.OPTIMIZERS.items()},
    "adamw": lambda p, s: torch.optim.AdamW(p, lr=s["lr"], betas=(s["beta1"], s["beta2"]), eps=s["epsilon"]),
}


def paces(net):
    """Of each layer of a .net text with weights: factors of the learning rate of weights and biases, of decay."""
    found, counts = {}, {}
    for line in net.splitlines():
        kind, *words = line.split()
        counts[kind] = counts.get(kind, 0) + 1
        keys = dict(word.split("=") for word in words)
        lr = float(keys.get("lr", 1))
        found[f"{kind}{counts[kind]}"] = lr, lr * float(keys.get("bias_lr", 1)), float(keys.get("decay", 1))
    return found


def groups(weights, net, settings):
    for name, weight in weights.items():
        layer, kind = name.split(".")
        lr, bias_lr, decay = paces(net)[layer]
        decays = kind == "weight" or settings.get("decay_biases", False)
        pace = lr if kind == "weight" else bias_lr
        weight.requires_grad_(pace > 0)
        if pace > 0:
            yield {"params": [weight], "pace": pace, "weight_decay": settings.get("weight_decay", 0) * decay * decays}


def train(initial, net, settings, images, labels, order, dtype):
    weights = {name: w.to(dtype, copy=True) for name, w in initial.items()}
    optimizer = OPTIMIZERS[settings["optimizer"]](list(groups(weights, net, settings)), settings)
    learning = [w for w in weights.values() if w.requires_grad]
    epoch = -(-settings["images"] // settings["batch"])
    rates = factors(settings.get("schedule", "constant"), settings.get("warmup", 0), settings["epochs"], epoch)
    mean, share, last = {n: torch.zeros_like(w) for n, w in weights.items()}, settings.get("ema", 0), None
    for batch, rate in zip(order, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * rate * group["pace"]
        for state in optimizer.state.values():
            if state.get("momentum_buffer") is not None:
                state["momentum_buffer"] *= last / rate
        last = rate
        optimizer.zero_grad()
        scores = GOLDEN.tiny_net(weights, images[batch].to(dtype))
        F.cross_entropy(scores, labels[batch], label_smoothing=settings.get("label_smoothing", 0)).backward()
        if "clip_norm" in settings:
            torch.nn.utils.clip_grad_norm_(learning, settings["clip_norm"])
        if "clip_value" in settings:
            torch.nn.utils.clip_grad_value_(learning, settings["clip_value"])
        optimizer.step()
        for name, weight in weights.items():
            mean[name] = share * mean[name] + (1 - share) * weight.detach()
    if share:
        weights = {name: m / (1 - share ** len(rates)) for name, m in mean.items()}
    return {name: w.detach().double() for name, w in weights.items()}


def read_model(path):
    data = path.read_bytes()
    notes = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    return GOLDEN.read_weights(path), notes["net"], notes["settings"]


def make(dump):
    text = GOLDEN.header([
        "Training methods in PyTorch. First schedules: `schedule TEXT | epochs of warm-up, epochs, steps of an epoch`,",
        "then the factor of the learning rate at each step; of plateau the measure before each. Then runs of the tiny",
        "network of tests/unit/torch_methods.c: `run SETTINGS`, then each weight after three epochs: name, number of",
        "values, values. Computed in float64 from the same float32 weights and pixels."
    ]).replace("make-torch-golden.py", "make-torch-methods.py")
    for schedule, warmup, epochs, epoch in SCHEDULES:
        rates = [f"{rate:.15g}" for rate in factors(schedule, warmup, epochs, epoch)]
        text += f"\nschedule {schedule} | {warmup} {epochs} {epoch}\n"
        text += "".join(" ".join(rates[i:i + 6]) + "\n" for i in range(0, len(rates), 6))
    text += f"\nschedule {PLATEAU} | 0 {len(MEASURES)} 1\n"
    text += "".join(f"{measure} {rate:.15g}\n" for measure, rate in zip(MEASURES, plateau()))
    rows = [[int(word) for word in line.split()] for line in (dump / "images").read_text().splitlines()]
    labels = torch.tensor([row[0] for row in rows])
    images = (torch.tensor([row[1:] for row in rows]).float() / 255).reshape(-1, 1, 8, 8)
    order = GOLDEN.read_order(dump / "order")
    for path in sorted(dump.glob("*.safetensors")):
        initial, net, settings = read_model(path)
        single = train(initial, net, json.loads(settings), images, labels, order, torch.float32)
        double = train(initial, net, json.loads(settings), images, labels, order, torch.float64)
        ways = {n: (w - initial[n].double()).norm() for n, w in double.items()}
        apart = max(float((single[n] - w).norm() / ways[n]) for n, w in double.items() if ways[n] > 1e-12)
        print(f"{path.stem}: float32 and float64 differ by at most {apart:.2g}")
        text += f"\nrun {settings}\n" + "".join(GOLDEN.listed(name, w) for name, w in double.items())
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", type=pathlib.Path, help="the test program, build/tests/test-torch_methods")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden" / "torch-methods.txt")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.test.resolve(), "--dump", folder], check=True)
        options.out.write_text(make(pathlib.Path(folder)))
    print(options.out)


if __name__ == "__main__":
    main()
