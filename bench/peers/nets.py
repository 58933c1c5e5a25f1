"""The networks of nets/ in PyTorch, by the same names: what torch_bench.py and ort_export.py measure."""
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
    "alexnet": (alexnet, (3, 227, 227), 1000, "momentum"),
    "alexnet-torchvision": (alexnet_torchvision, (3, 224, 224), 1000, "momentum"),
}
