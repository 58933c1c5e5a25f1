"""One row of bench/ with PyTorch, in a process of its own (so threads and memory are its own):

    torch_bench.py ROW THREADS [OPTION...]     ROW: train/NET/BATCH or infer/NET/BATCH

Options: ftz (flush denormals), none (gradients are set to None), trace, freeze, pool-first (SimpleConvNet's
maximum before its ReLU), rounds=N, seconds=S, data=FOLDER (of MNIST's four files; without it: random images).
Prints one line of JSON: seconds of one step, median, least and most over the rounds. A round in which the
processor was lent to others (stolen ticks of /proc/stat) is taken again, at most twice as often as there are
rounds."""
import gzip
import json
import os
import resource
import statistics
import sys
import time

row, threads, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
import numpy as np
import torch
import torch.nn.functional as F
from nets import NETS, SimpleConvNet

values = dict(option.split("=", 1) for option in options if "=" in option)
kind, name, batch = row.split("/")
batch = int(batch)
make, shape, classes, optimizer = NETS[name]


def stolen():
    try:
        with open("/proc/stat") as file:
            return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def measure(call):
    rounds, seconds = int(values.get("rounds", 3)), float(values.get("seconds", 0.3))
    start, calls, once = time.perf_counter(), 0, 0
    # the second call of a trace compiles; of steps that take seconds one is enough
    while (calls < 2 and once < 2) or time.perf_counter() - start < seconds / 2:
        once = time.perf_counter()
        call()
        once = time.perf_counter() - once
        calls += 1
    calls, taken, retaken = max(1, int(seconds / once) + (once < seconds)), [], 0
    while len(taken) < rounds:
        lent, start = stolen(), time.perf_counter()
        for _ in range(calls):
            call()
        elapsed = time.perf_counter() - start
        if stolen() - lent > 0.02 * elapsed and retaken < 2 * rounds:
            retaken += 1
            continue
        taken.append(elapsed / calls)
    return taken, retaken


def read(folder, file):
    path = os.path.join(folder, file)
    with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz")) as stream:
        return stream.read()


def open_data():
    """Images as floats in [0, 1], and labels. Random images: one batch of them, which is drawn from."""
    if "data" in values and shape == (1, 28, 28):
        pixels = np.frombuffer(read(values["data"], "train-images-idx3-ubyte"), np.uint8, offset=16)
        labels = np.frombuffer(read(values["data"], "train-labels-idx1-ubyte"), np.uint8, offset=8)
        return (torch.from_numpy(pixels.reshape(-1, *shape).astype(np.float32) / 255),
                torch.from_numpy(labels.astype(np.int64)))
    count = batch if shape[0] == 3 else 60000
    return torch.rand(count, *shape), torch.randint(classes, (count,))


def training(net, x, y):
    if optimizer == "adam":
        update = torch.optim.Adam(net.parameters(), 1e-3)
    else:
        update = torch.optim.SGD(net.parameters(), 0.01 if shape[0] == 1 else 1e-8,
                                 momentum=0.9 if optimizer == "momentum" else 0)

    def step():
        index = torch.randint(len(x), (batch,))
        loss = F.cross_entropy(net(x[index]), y[index])
        update.zero_grad(set_to_none="none" in options)
        loss.backward()
        update.step()
    return step


torch.set_num_threads(threads)
torch.manual_seed(0)
if "ftz" in options:
    torch.set_flush_denormal(True)
net = SimpleConvNet(True) if "pool-first" in options and make is SimpleConvNet else make()
parameters = sum(p.numel() for p in net.parameters())
if kind == "train":
    images, labels = open_data()
    if "trace" in options:
        net = torch.jit.trace(net, images[:batch], check_trace=False)
    taken, retaken = measure(training(net, images, labels))
else:
    images = torch.rand(batch, *shape)
    net.eval()
    if "freeze" in options:
        net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, images)))
    with torch.inference_mode():
        taken, retaken = measure(lambda: net(images))
print(json.dumps({"row": row, "threads": threads, "seconds": statistics.median(taken), "seconds_min": min(taken),
                  "seconds_max": max(taken), "retaken": retaken, "parameters": parameters,
                  "resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "version": "PyTorch " + torch.__version__}))
