import torch
from torch import nn


class Conv(nn.Module):
    def __init__(self, inside, outside, size=1, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, size, stride, size // 2, bias=False)
        self.bn = nn.BatchNorm2d(outside)
        self.act = nn.SiLU()


class Concat(nn.Module):
    def __init__(self, dimension=1):
        super().__init__()
        self.d = dimension


class C2f(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.cv1, self.cv2 = Conv(inside, outside), Conv(outside, outside, 3)
        self.m = nn.ModuleList(nn.Sequential(Conv(outside, outside)) for _ in range(2))


class Detect(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.nc, self.stride, self.anchors = classes, torch.zeros(3), torch.empty(0)
        self.cv2 = nn.ModuleList([nn.Conv2d(4, classes, 1)])
