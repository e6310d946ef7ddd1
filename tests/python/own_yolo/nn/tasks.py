from types import SimpleNamespace

from torch import nn

from .modules import C2f, Concat, Conv, Detect


class DetectionModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.yaml = {"nc": 2, "backbone": [[-1, 1, "Conv", [64, 3, 2]]]}
        self.model = nn.Sequential(Conv(3, 4, 3, 2), C2f(4, 4), nn.Upsample(scale_factor=2), Concat(), nn.MaxPool2d(2),
                                   Detect())
        self.save, self.names, self.inplace = [1, 2], {0: "a", 1: "b"}, True
        self.args = SimpleNamespace(imgsz=640, box=7.5)
        self.loss = nn.CrossEntropyLoss()
