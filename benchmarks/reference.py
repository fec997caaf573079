"""What the engine is measured against: the structure of the public trajectory-matching code, written plainly.

Eager float32; native group norm; a student unrolled with ``create_graph``, so that memory grows with its steps; an SGD
loop of ``torch.nn`` modules for experts; evaluation of one network after another; images read one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import functional as vision

from engine.networks import ConvNet
from engine.networks.convnet import EPSILON


def logits(net: ConvNet, parameters: Tensor, images: Tensor) -> Tensor:
    """Logits [n, classes] of a ConvNet with instance norm and average pooling."""
    views = iter(net.unflatten(parameters))
    x = images
    for _ in range(net.network.depth):
        x = F.conv2d(x, next(views), next(views), padding=1)
        x = F.group_norm(x, net.network.width, next(views), next(views), EPSILON)
        x = F.avg_pool2d(F.relu(x), 2)
    return F.linear(x.flatten(1), next(views), next(views))


def meta_gradient(
    net: ConvNet,
    start: Tensor,
    pixels: Tensor,
    labels: Tensor,
    step_size: Tensor,
    target: Tensor,
    batches: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Derivatives of the matching loss by the pixels and the step size, the whole training in one graph."""
    leaf, rate = pixels.detach().requires_grad_(), step_size.detach().requires_grad_()
    student = start.detach().requires_grad_()
    for batch in batches:
        loss = F.cross_entropy(logits(net, student, leaf[batch]), labels[batch])
        (slope,) = torch.autograd.grad(loss, student, create_graph=True)
        student = student - rate * slope
    distance = (student - target).square().sum() / (start - target).square().sum()
    by_pixels, by_rate = torch.autograd.grad(distance, (leaf, rate))
    return by_pixels, by_rate


def module(net: ConvNet) -> nn.Sequential:
    """The same layout as a ``torch.nn`` module with fresh weights."""
    layers: list[nn.Module] = []
    channels, side = net.shape[0], net.shape[1]
    for _ in range(net.network.depth):
        width = net.network.width
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(width, width)]
        layers += [nn.ReLU(inplace=True), nn.AvgPool2d(2)]
        channels, side = width, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, net.classes))


def trainer(
    models: Sequence[nn.Module], images: Tensor, labels: Tensor, batch: int, epochs: int, rate: float
) -> Callable[[], None]:
    """SGD with momentum, one network after another, each over ``epochs`` shuffled epochs."""

    def work() -> None:
        for model in models:
            optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
            for _ in range(epochs):
                for chosen in torch.split(torch.randperm(len(labels)), batch):
                    loss = F.cross_entropy(model(images[chosen]), labels[chosen])
                    optimiser.zero_grad()
                    torch.autograd.backward(loss)
                    optimiser.step()

    return work


def prepared(pixels: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images uint8 [n, h, w, c] through PIL, one at a time, as data-set classes hand them out; then stacked."""
    images = []
    for each in pixels:
        image = Image.fromarray(each.squeeze(-1) if each.shape[-1] == 1 else each)
        images.append(vision.normalize(vision.to_tensor(image), list(mean), list(std)))
    return torch.stack(images)
