"""The networks of nets/ in PyTorch, by the same names: what torch_bench.py and ort_export.py measure, and what
tools/check-torch compares ours with. Modules stand in the order of the bricks, so that weights do too."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class SimpleConvNet(nn.Module):
    """pool_first: the maximum before the ReLU, which is the same function and a quarter of the work."""
    def __init__(self, pool_first=False):
        super().__init__()
        self.pool_first = pool_first
        self.conv, self.hidden, self.out = nn.Conv2d(1, 30, 5), nn.Linear(4320, 100), nn.Linear(100, 10)
        for layer in (self.conv, self.hidden, self.out):
            nn.init.normal_(layer.weight, 0, 0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.conv(x)
        x = F.relu(F.max_pool2d(x, 2)) if self.pool_first else F.max_pool2d(F.relu(x), 2)
        return self.out(F.relu(self.hidden(x.flatten(1))))


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
        nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def deep_conv_net():
    layers = []
    for channels, filters, pad in ((1, 16, 1), (16, 32, 2), (32, 64, 1)):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(),
                   nn.Conv2d(filters, filters, 3, padding=pad), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 50), nn.ReLU(), nn.Dropout(0.5),
                         nn.Linear(50, 10), nn.Dropout(0.5))


class ScaledTanh(nn.Module):
    """LeCun et al. 1998, appendix A."""
    def forward(self, x):
        return 1.7159 * (0.66666667 * x).tanh()


class Subsample(nn.Module):
    """LeCun et al. 1998, section II-B: the sum over 2x2 pixels, times a coefficient, plus a bias."""
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return 4 * F.avg_pool2d(x, 2) * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class TableConv(nn.Module):
    """Convolution in which each filter sees only the channels of its row of a table."""
    def __init__(self, table, kernel):
        super().__init__()
        self.pairs = [(f, c) for f, channels in enumerate(table) for c in channels]
        self.size = (len(table), 1 + max(c for _, c in self.pairs), kernel, kernel)
        self.weight = nn.Parameter(0.1 * torch.randn(len(self.pairs), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(len(table)))

    def forward(self, x):
        place = tuple(torch.tensor(self.pairs).t())
        return F.conv2d(x, torch.zeros(self.size, dtype=x.dtype).index_put(place, self.weight), self.bias)


def lenet5_1998():
    """Table I of LeCun et al. 1998: three neighbours, four neighbours, two pairs apart, all; they wrap round."""
    table = [[(f + i) % 6 for i in (0, 1, 2)] for f in range(6)]
    table += [[(f + i) % 6 for i in (0, 1, 2, 3)] for f in range(6)]
    table += [[(f + i) % 6 for i in (0, 1, 3, 4)] for f in range(3)] + [range(6)]
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), ScaledTanh(), Subsample(6), ScaledTanh(),
        TableConv([sorted(row) for row in table], 5), ScaledTanh(), Subsample(16), ScaledTanh(),
        nn.Conv2d(16, 120, 5), ScaledTanh(), nn.Flatten(), nn.Linear(120, 84), ScaledTanh(), nn.Linear(84, 10))


def normalised(channels, filters, kernel, stride=1, groups=1):
    return [nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(filters)]


class Residual(nn.Module):
    """He et al. 2015, a block of two layers; where filters grow the shortcut is a projection (option B)."""
    def __init__(self, channels, filters):
        super().__init__()
        stride = filters // channels
        self.layers = nn.Sequential(*normalised(channels, filters, 3, stride), nn.ReLU(),
                                    *normalised(filters, filters, 3))
        self.shortcut = nn.Sequential(*normalised(channels, filters, 1, stride) if stride > 1 else ())

    def forward(self, x):
        return F.relu(self.layers(x) + self.shortcut(x))


def resnet20():
    layers, channels = [*normalised(3, 16, 3), nn.ReLU()], 16
    for filters in (16, 16, 16, 32, 32, 32, 64, 64, 64):
        layers.append(Residual(channels, filters))
        channels = filters
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))


def mobile():
    """Howard et al. 2017: a 3x3 filter for each channel by itself, then 1x1 across channels."""
    layers, channels = [*normalised(3, 32, 3), nn.ReLU()], 32
    for filters, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [*normalised(channels, channels, 3, stride, channels), nn.ReLU(),
                   *normalised(channels, filters, 1), nn.ReLU()]
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def pooled(channels, filters, kernel, pool):
    return [nn.Conv2d(channels, filters, kernel, bias=False), nn.MaxPool2d(pool), nn.BatchNorm2d(filters), nn.ReLU()]


def mnist_fast():
    return nn.Sequential(*pooled(1, 16, 5, 3), *pooled(16, 32, 3, 2), nn.Flatten(),
                         nn.Linear(288, 64), nn.ReLU(), nn.Linear(64, 10))


def wide(channels, filters, pad):
    return [nn.Conv2d(channels, filters, 3, padding=pad, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]


def mnist_record():
    return nn.Sequential(*pooled(1, 32, 5, 2), *wide(32, 64, 1), *pooled(64, 64, 3, 2), *wide(64, 128, 1),
                         *wide(128, 128, 0), nn.Dropout(0.3), nn.Flatten(), nn.Linear(1152, 10))


def fashion():
    return nn.Sequential(*wide(1, 32, 0), *pooled(32, 32, 3, 2), *wide(32, 64, 1), *pooled(64, 64, 3, 2),
                         *wide(64, 128, 1), *wide(128, 128, 0), nn.Dropout(0.3), nn.Flatten(), nn.Linear(1152, 10))


def classifier():
    return [nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]


def alexnet(normalise=lambda: nn.LocalResponseNorm(5, 5e-4, 0.75, 2)):
    """Krizhevsky et al. 2012: grouped convolutions, local response normalisation (alpha: of the mean of 5 squares)."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(), normalise(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), normalise(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), *classifier())


def alexnet_torchvision():
    """The variant of Krizhevsky 2014 that torchvision has; its adaptive pool does nothing at this size."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), *classifier())


# name: how it is made, the shape of an image, classes, optimiser
NETS = {
    "simple-conv-net": (SimpleConvNet, (1, 28, 28), 10, "adam"),
    "lenet5": (lenet5, (1, 28, 28), 10, "sgd"),
    "lenet": (lenet, (1, 28, 28), 10, "sgd"),
    "deep-conv-net": (deep_conv_net, (1, 28, 28), 10, "adam"),
    "lenet5-1998": (lenet5_1998, (1, 28, 28), 10, "sgd"),
    "resnet20": (resnet20, (3, 32, 32), 10, "momentum"),
    "mobile": (mobile, (3, 32, 32), 10, "momentum"),
    "mnist-fast": (mnist_fast, (1, 28, 28), 10, "adam"),
    "mnist-record": (mnist_record, (1, 28, 28), 10, "adam"),
    "fashion": (fashion, (1, 28, 28), 10, "adam"),
    "alexnet": (alexnet, (3, 227, 227), 1000, "momentum"),
    "alexnet-torchvision": (alexnet_torchvision, (3, 224, 224), 1000, "momentum"),
}
