"""First and second derivatives of a ConvNet's training loss, written out.

For parameters theta, images X, labels Y and a direction v in parameter space, with L the mean cross-entropy::

    first:   L   and   dL/dtheta
    second:  s = < v, dL/dtheta >   and   ds/dtheta, ds/dX

The second is reverse mode over forward mode (Pearlmutter 1994): a pass that carries every activation x together
with its derivative t along v, and one reverse pass through both. Against differentiating a gradient twice it
needs one convolution in nine less, and its two streams share their kernels by lying in one batch. Written out, a
normalisation costs a few passes over its activations instead of dozens, the convolutions can have their
channels last, which are up to twice as fast on CPUs, and nothing is left to trace for the compiler but plain
tensor operations.

The normalisation of a group, n = (y - mean) / sqrt(var + eps), r = 1 / sqrt(var + eps), has the symmetric
Jacobian P(d) = r (d - E[d] - n E[n d]). For fixed d and e, the derivative of < e, P(d) > by y is

    - r^2 n (E[e d] - E[e] E[d] - E[e n] E[d n]) - r (E[d n] P(e) + E[e n] P(d))

which is all that the reverse pass needs of second order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.networks.convnet import EPSILON, GROUPS, ConvNet
from engine.networks.convolutions import Convolutions, wide

GROUP_NORM_BACKWARD = torch.ops.aten.native_group_norm_backward.default
AVERAGE_BACKWARD = torch.ops.aten.avg_pool2d_backward.default


@dataclass(frozen=True)
class Weights:
    """One block's parameters, or their part of a direction; gain and shift [width] only with a norm."""

    kernel: Tensor
    bias: Tensor
    gain: Tensor | None
    shift: Tensor | None


@dataclass(frozen=True)
class Normal:
    """A normalisation: what came out [b, c, h, w] and r of every group; and what went in and its mean, unless it is
    recalled from what was kept."""

    y: Tensor | None
    n: Tensor
    mean: Tensor | None
    r: Tensor


class Derivatives:
    """The derivatives of one layout's loss.

    Args:
        net: the layout.
        narrow, emulated: as :class:`engine.networks.convolutions.Convolutions` takes them. Everything but convolutions,
            sums above all, is computed in the parameters' type.
    """

    def __init__(self, net: ConvNet, narrow: torch.dtype | None = None, *, emulated: bool = False) -> None:
        self.net = net
        self.narrow = narrow
        self.convolutions = Convolutions(net, narrow, emulated=emulated)
        width, norm = net.network.width, net.network.norm
        groups = width if norm == "instance" else min(GROUPS.get(norm, 1), width)
        self.groups = groups if width % groups == 0 else 1

    def first(self, parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss [], the logits [n, classes], and the loss's gradient [size].

        Args:
            parameters: flat [size].
            images: [n, c, h, w]; ``labels`` int64 [n] or probabilities [n, classes].
        """
        return self.first_keeping(parameters, images, labels)[:3]

    def first_keeping(
        self, parameters: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Sequence[Tensor]]:
        """The same, and what :meth:`second_of_kept` then need not compute again: of every block n and r of its norm
        (what its ReLU takes, where it has none), of all but the last the loss's derivative by its output."""
        blocks, (kernel, bias) = self._weights(parameters)
        x = self.convolutions.laid_out(images)
        inputs, normals, activations, slopes = [], [], [], []
        for number, block in enumerate(blocks):
            inputs.append(x)
            normal = self._normalised(self.convolutions.forward(x, block.kernel, block.bias, number))
            a = self._scaled(normal.n, block)
            normals.append(normal)
            activations.append(a)
            x = self._pooled(F.relu(a))
        features = x.flatten(1)
        logits = F.linear(features, kernel, bias)
        targets = _targets(labels, logits)
        loss = -(targets * F.log_softmax(logits, 1)).sum() / len(logits)
        by_logits = (F.softmax(logits, 1) * targets.sum(1, keepdim=True) - targets) / len(logits)
        slots = [by_logits.mT @ features, by_logits.sum(0)]
        by_x = (by_logits @ kernel).view_as(x)
        for number in reversed(range(len(blocks))):
            block, normal, a = blocks[number], normals[number], activations[number]
            by_a = self._unpooled(by_x, a) * (a > 0)
            by_n = by_a if block.gain is None else by_a * wide(block.gain)
            by_y = self._projected(by_n, normal)
            by_kernel = self.convolutions.by_kernel(inputs[number], by_y, block.kernel, number)
            own = [by_kernel, by_y.sum((0, 2, 3))]
            if block.gain is not None:
                own += [(by_a * normal.n).sum((0, 2, 3)), by_a.sum((0, 2, 3))]
            slots = own + slots
            if number:
                by_x = self.convolutions.by_input(inputs[number], by_y, block.kernel)
                slopes.append(by_x)
        kept = [part for normal in normals for part in self._lasting(normal)]
        return loss, logits, torch.cat([slot.flatten() for slot in slots]), kept + slopes[::-1]

    def second(
        self, parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss's slope [] along ``direction`` [size], its gradient [size], and its derivative by the images."""
        return self.second_of_kept(parameters, direction, images, labels, [])

    def second_of_kept(
        self, parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same.

        Args:
            kept: what :meth:`first_keeping` gave for these parameters, images and labels; where it is empty, that is
                computed again.
        """
        blocks, (kernel, bias) = self._weights(parameters)
        turns, (kernel_turn, bias_turn) = self._weights(direction)
        n = len(images)
        stream = self.convolutions.laid_out(images)
        normals, slopes = self._recalled(kept)
        inputs, states = [], []
        for number, (block, turn) in enumerate(zip(blocks, turns, strict=True)):
            inputs.append(stream)
            state = self._forward(stream, block, turn, n, number, normals[number])
            states.append(state)
            stream = state.pooled
        f, g = torch.split(stream.flatten(1), n)
        logits = F.linear(f, kernel, bias)
        turned = F.linear(g, kernel) + F.linear(f, kernel_turn, bias_turn)
        targets = _targets(labels, logits)
        total = targets.sum(1, keepdim=True)
        shares = F.softmax(logits, 1)
        by_turned = (shares * total - targets) / n
        slope = (by_turned * turned).sum()
        by_logits = shares * (turned - (shares * turned).sum(1, keepdim=True)) * total / n
        slots = [by_logits.mT @ f + by_turned.mT @ g, by_logits.sum(0)]
        by_stream = torch.cat([by_logits @ kernel + by_turned @ kernel_turn, by_turned @ kernel]).view_as(stream)
        for number in reversed(range(len(blocks))):
            own, by_z = self._reverse(by_stream, states[number], blocks[number], turns[number], n)
            slots = [self._by_kernels(inputs[number], by_z, blocks[number].kernel, n, number), *own, *slots]
            by_stream = self._by_inputs(inputs[number], by_z, blocks[number], turns[number], n, number, slopes[number])
        return slope, torch.cat([slot.flatten() for slot in slots]), by_stream.contiguous()

    def turned(self, parameters: Tensor, direction: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """The logits [n, classes] and their derivative along ``direction`` [size]: what :meth:`second` begins with."""
        blocks, (kernel, bias) = self._weights(parameters)
        turns, (kernel_turn, bias_turn) = self._weights(direction)
        stream = self.convolutions.laid_out(images)
        for number, (block, turn) in enumerate(zip(blocks, turns, strict=True)):
            stream = self._forward(stream, block, turn, len(images), number).pooled
        f, g = torch.split(stream.flatten(1), len(images))
        return F.linear(f, kernel, bias), F.linear(g, kernel) + F.linear(f, kernel_turn, bias_turn)

    # -- a block with two streams -----------------------------------------------------------------

    def _forward(
        self, stream: Tensor, block: Weights, turn: Weights, n: int, number: int, normal: Normal | None = None
    ) -> _State:
        """One block on the activations and their derivatives along the direction, [2n, ...] (the first: [n, ...])."""
        x = stream[:n]
        turned = self.convolutions.forward(x, turn.kernel, turn.bias, number)
        if normal is not None:
            turned = turned + self.convolutions.forward(stream[n:], block.kernel, None, number) if number else turned
        elif number == 0:
            normal = self._normalised(self.convolutions.forward(x, block.kernel, block.bias, number))
        else:
            both = self.convolutions.forward(stream, block.kernel, None, number)
            normal = self._normalised(both[:n] + wide(block.bias))
            turned = turned + both[n:]
        turned_n = self._projected(turned, normal)
        a, turned_a = normal.n, turned_n
        if block.gain is not None and turn.gain is not None and turn.shift is not None:
            a = self._scaled(normal.n, block)
            turned_a = turned_n * wide(block.gain) + normal.n * wide(turn.gain) + wide(turn.shift)
        return _State(turned, normal, turned_n, a, self._pooled_pair(a, turned_a))

    def _reverse(
        self, by_stream: Tensor, state: _State, block: Weights, turn: Weights, n: int
    ) -> tuple[list[Tensor], Tensor]:
        """Derivatives by bias (gain, shift), and by the two streams before the normalisation [2n, c, h, w]."""
        open_ = state.a > 0
        by_a = self._unpooled(by_stream[:n], state.a) * open_
        by_turned_a = self._unpooled(by_stream[n:], state.a) * open_
        n_hat = state.normal.n
        scale: list[Tensor] = []
        by_n, by_turned_n = by_a, by_turned_a
        if block.gain is not None and turn.gain is not None:
            scale = [(by_a * n_hat + by_turned_a * state.turned_n).sum((0, 2, 3)), by_a.sum((0, 2, 3))]
            by_n = by_a * wide(block.gain) + by_turned_a * wide(turn.gain)
            by_turned_n = by_turned_a * wide(block.gain)
        by_y, by_turned = self._twice_projected(by_n, by_turned_n, state)
        return [by_y.sum((0, 2, 3)), *scale], torch.cat([by_y, by_turned])

    def _twice_projected(self, by_n: Tensor, e: Tensor, state: _State) -> tuple[Tensor, Tensor]:
        """Derivatives by y and by its derivative d, from those by n and by P(d)."""
        if self.net.network.norm == "none":
            return by_n, e
        g, normal = self._grouped, state.normal
        n, d, e_ = g(normal.n), g(state.turned), g(e)
        r = normal.r.view(len(n), self.groups, 1, 1, 1)
        mean_en, mean_dn = _mean(e_ * n), _mean(d * n)
        bent = _mean(e_ * d) - _mean(e_) * _mean(d) - mean_en * mean_dn
        by_y = g(self._projected((g(by_n) - r * mean_dn * e_).flatten(1, 2), normal))
        by_y = by_y - r * (r * bent * n + mean_en * g(state.turned_n))
        return by_y.flatten(1, 2), self._projected(e, normal)

    # -- convolutions of both streams -------------------------------------------------------------

    def _by_kernels(self, stream: Tensor, by_z: Tensor, kernel: Tensor, n: int, number: int) -> Tensor:
        if number == 0:
            return self.convolutions.by_kernel(stream, by_z[:n], kernel, number)
        return self.convolutions.by_kernel(stream, by_z, kernel, number)

    def _by_inputs(
        self, stream: Tensor, by_z: Tensor, block: Weights, turn: Weights, n: int, number: int, slope: Tensor | None
    ) -> Tensor:
        if number == 0:
            return self.convolutions.by_images(stream, by_z[:n], by_z[n:], block.kernel, turn.kernel)
        if slope is not None:
            by_x = self.convolutions.by_input(stream[:n], by_z[:n], block.kernel)
            return torch.cat([by_x + self.convolutions.by_input(stream[:n], by_z[n:], turn.kernel), slope])
        by_stream = self.convolutions.by_input(stream, by_z, block.kernel)
        turned = self.convolutions.by_input(stream[:n], by_z[n:], turn.kernel)
        return torch.cat([by_stream[:n] + turned, by_stream[n:]])

    # -- normalisation and pooling ----------------------------------------------------------------

    def _grouped(self, x: Tensor) -> Tensor:
        b, channels, height, width = x.shape
        return x.view(b, self.groups, channels // self.groups, height, width)

    def _normalised(self, y: Tensor) -> Normal:
        if self.net.network.norm == "none":
            return Normal(y, y, y, y)
        if self._has_native_norm(y):
            n, mean, r = torch.native_group_norm(y, None, None, *self._sizes(y), EPSILON)
            return Normal(y, n, mean, r)
        grouped = self._grouped(y)
        mean = _mean(grouped)
        centred = grouped - mean
        r = torch.rsqrt(_mean(centred * centred) + EPSILON)
        return Normal(y, (centred * r).flatten(1, 2), mean, r)

    def _lasting(self, normal: Normal) -> list[Tensor]:
        """What is kept of a normalisation."""
        if self.net.network.norm == "none":
            return [normal.n]
        return [normal.n, normal.r.view(len(normal.n), self.groups, 1, 1, 1)]

    def _recalled(self, kept: Sequence[Tensor]) -> tuple[list[Normal | None], list[Tensor | None]]:
        """For every block its normalisation, and the loss's derivative by its input, as they were kept; else None."""
        depth = self.net.network.depth
        if not kept:
            return [None] * depth, [None] * depth
        each = 1 if self.net.network.norm == "none" else 2
        found = [kept[each * block : each * (block + 1)] for block in range(depth)]
        return [Normal(None, of[0], None, of[-1]) for of in found], [None, *kept[each * depth :]]

    def _projected(self, d: Tensor, normal: Normal) -> Tensor:
        """P(d)."""
        if self.net.network.norm == "none":
            return d
        if normal.y is not None and self._has_native_norm(d):
            sizes, mask = self._sizes(d), [True, False, False]
            found: Sequence[Tensor] = GROUP_NORM_BACKWARD(d, normal.y, normal.mean, normal.r, None, *sizes, mask)
            return found[0]
        d, n = self._grouped(d), self._grouped(normal.n)
        return (normal.r * (d - _mean(d) - n * _mean(d * n))).flatten(1, 2)

    def _has_native_norm(self, x: Tensor) -> bool:
        """Whether the library's normalisation is taken: not where the compiler fuses plain operations, and not on
        channels that lie last on a card, which some versions of torch refuse."""
        channels_last_on_card = self.narrow is not None and x.device.type != "cpu"
        return not (torch.compiler.is_compiling() or channels_last_on_card)

    def _sizes(self, y: Tensor) -> tuple[int, int, int, int]:
        n, channels, height, width = y.shape
        return n, channels, height * width, self.groups

    def _scaled(self, n: Tensor, block: Weights) -> Tensor:
        if block.gain is None or block.shift is None:
            return n
        return n * wide(block.gain) + wide(block.shift)

    def _pooled(self, x: Tensor) -> Tensor:
        kind = self.net.network.pooling
        if kind == "avg":
            return F.avg_pool2d(x, 2)
        return F.max_pool2d(x, 2) if kind == "max" else x

    def _pooled_pair(self, a: Tensor, turned: Tensor) -> Tensor:
        """Rectified and pooled activations, then the derivatives of these."""
        turned = turned * (a > 0)
        a = F.relu(a)
        if self.net.network.pooling != "max":
            return self._pooled(torch.cat([a, turned]))
        high, places = F.max_pool2d(a, 2, return_indices=True)
        chosen = turned.flatten(2).gather(2, places.flatten(2)).view_as(high)
        return torch.cat([high, chosen])

    def _unpooled(self, by_pooled: Tensor, a: Tensor) -> Tensor:
        kind = self.net.network.pooling
        if kind == "none":
            return by_pooled
        if kind == "avg":
            size = [2, 2]
            spread: Tensor = AVERAGE_BACKWARD(by_pooled, a, size, size, [0, 0], False, True, None)
            return spread
        _, places = F.max_pool2d(F.relu(a), 2, return_indices=True)
        closed = torch.zeros_like(a).flatten(2)
        return closed.scatter(2, places.flatten(2), by_pooled.flatten(2)).view_as(a)

    def _weights(self, flat: Tensor) -> tuple[list[Weights], tuple[Tensor, Tensor]]:
        parts = iter(self.net.unflatten(flat))
        scaled = self.net.network.norm != "none"
        blocks = [
            Weights(next(parts), next(parts), next(parts) if scaled else None, next(parts) if scaled else None)
            for _ in range(self.net.network.depth)
        ]
        return blocks, (next(parts), next(parts))


@dataclass(frozen=True)
class _State:
    """What a block's reverse pass needs: the derivative before the norm, the norm, its derivative, the activation
    before ReLU, and the block's output of both streams."""

    turned: Tensor
    normal: Normal
    turned_n: Tensor
    a: Tensor
    pooled: Tensor


def _mean(grouped: Tensor) -> Tensor:
    return grouped.mean((2, 3, 4), keepdim=True)


def _targets(labels: Tensor, logits: Tensor) -> Tensor:
    if labels.ndim == 2:
        return labels.to(logits.dtype)
    return F.one_hot(labels, logits.shape[1]).to(logits.dtype)
