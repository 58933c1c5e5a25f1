"""ort_export.py FOLDER NET...: the networks in the ONNX format with random weights, as FOLDER/NET.onnx.

NET may be alexnet-lrn: AlexNet with ONNX's own operator for local response normalisation, where PyTorch's
exporter writes it out as pooling and arithmetic."""
import sys
import torch
from nets import NETS, alexnet


class NormaliseOperator(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.nn.functional.local_response_norm(x, 5, 5e-4, 0.75, 2.0)

    @staticmethod
    def symbolic(graph, x):
        return graph.op("LRN", x, size_i=5, alpha_f=5e-4, beta_f=0.75, bias_f=2.0)


class Normalise(torch.nn.Module):
    def forward(self, x):
        return NormaliseOperator.apply(x)


folder = sys.argv[1]
for name in sys.argv[2:]:
    if name == "alexnet-lrn":
        net, shape = alexnet(Normalise), (3, 227, 227)
    else:
        make, shape, _, _ = NETS[name]
        net = make()
    torch.onnx.export(net.eval(), torch.rand(1, *shape), f"{folder}/{name}.onnx", input_names=["x"],
                      output_names=["y"], opset_version=13, dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    print("exported", name)
