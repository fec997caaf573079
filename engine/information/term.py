"""The MIM4DD term: contrast synthetic with real features, learn the critic, give the pixels a gradient.

Total loss (Eq. 2.17, rebuilt): ``lambda * sum_k L_NCE^k * beta^(k - K + 1) + L_objective`` for layers
k = 1..K, so that the last but one layer has weight 1 and later layers weigh more.

The term knows of a base objective only what every objective offers: the networks of both sides. Its own
gradient reaches the pixels through the synthetic side's features; where the student's end point is
attached it also returns a cotangent of that end point, which the objective pulls back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.config.schema import Information
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.errors import DataError, RunFailed
from engine.information import contrast
from engine.information.critic import Critic, pool
from engine.networks import ConvNet
from engine.objectives.base import RealNetworks
from engine.objectives.checked import described
from engine.seeds import generator


@dataclass(frozen=True)
class TermGradient:
    """What the term asks for, before any weight.

    Attributes:
        loss: layer-weighted contrastive loss [] in nats.
        pixels: its gradient by the pixels [n, c, h, w], zero for images not in the batch.
        student: its gradient by the student's end point [size]; None unless attached.
    """

    loss: Tensor
    pixels: Tensor
    student: Tensor | None


@dataclass(frozen=True)
class Sides:
    """Networks of the two sides: flat parameters [size] each."""

    synthetic: Tensor
    real: Tensor


class InformationTerm:
    """The critic, its optimiser, and the draws of real and synthetic batches.

    Args:
        real: the real set; batches come from ``class_indices``, the bound is read on ``readout_images``,
            which are never in a batch.
        labels: the synthetic set's labels, int64 [n], ordered by class, as many of each.
        tick: called before every step of the warm-up; may raise to stop.
    """

    def __init__(
        self,
        settings: Information,
        net: ConvNet,
        real: RealSet,
        labels: Tensor,
        augment: Augment,
        seed: int,
        device: torch.device,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.net = net
        self.real = real
        self.labels = labels
        self.augment = augment
        self.seed = seed
        self.device = device
        self.tick = tick
        self.layers = self._layers()
        sizes = [self._pooled_size(layer) for layer in self.layers]
        ratio = float(real.classes - 1)
        offset = torch.log(torch.tensor(ratio / len(real.train_labels))).item()
        constant = 0.0 if settings.bias == "learned" else offset
        self.critic = Critic(sizes, settings, constant, generator(seed, "critic")).to(device)
        learned = [p for p in self.critic.parameters() if p.requires_grad]
        self.optimizer = self._optimizer(learned) if learned else None
        growth = settings.layer_growth
        self.weights = [growth ** (k - len(self.layers) + 2) for k in range(len(self.layers))]

    def _layers(self) -> list[int]:
        depth = self.net.network.depth
        match self.settings.layers:
            case "blocks":
                return list(range(depth))
            case "blocks+logits":
                return list(range(depth + 1))
            case _:
                return [depth - 1]

    def _pooled_size(self, layer: int) -> int:
        return pool(torch.zeros(1, *self.net.feature_shapes[layer]), self.settings).shape[1]

    def _optimizer(self, learned: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        if self.settings.critic_optimizer == "adam":
            return torch.optim.Adam(learned, lr=self.settings.critic_rate)
        return torch.optim.SGD(learned, lr=self.settings.critic_rate)

    def sides(self, networks: RealNetworks, student: Tensor, iteration: int) -> Sides:
        """The two networks as the settings choose them.

        Raises:
            RunFailed: one that the objective offers is no vector of this network's parameters.
        """
        match self.settings.real_network:
            case "target":
                real = networks.target
            case "start":
                real = networks.start
            case "last":
                real = networks.last()
            case _:
                real = self.net.init(generator(self.seed, "fresh network", iteration)).to(self.device)
        self._require_parameters(real, f"networks.{self.settings.real_network}")
        if self.settings.synthetic_network == "same":
            return Sides(real, real)
        self._require_parameters(student, "student")
        return Sides(student, real)

    def _require_parameters(self, found: object, what: str) -> None:
        if not isinstance(found, Tensor) or found.shape != (self.net.size,):
            raise RunFailed(
                f"the objective's {what} is {described(found)}, and has to be a network's parameters, [{self.net.size}]"
            )

    def warm_up(self, pixels: Tensor, sides: Sides) -> None:
        """Train the critic ``warmup`` steps on the starting set, before it first speaks to the pixels.

        All or nothing: stopped in between, the critic is as it was, for a resumed run warms up anew.
        """
        if self.optimizer is None:
            return
        before = {name: value.clone() for name, value in self.tensors().items()}
        try:
            for update in range(self.settings.warmup):
                self.tick()
                self._warm_up_step(pixels, sides, update)
        except BaseException:
            self.restore(before)
            raise

    def _warm_up_step(self, pixels: Tensor, sides: Sides, update: int) -> None:
        draws = generator(self.seed, "warm-up", update)
        chosen, images, labels = self._batches(draws)
        with torch.no_grad():
            left, right = self._views(pixels[chosen], images, draws)
            left_features = self._features(sides.synthetic, left)
            right_features = self._features(sides.real, right)
        self._update(left_features, right_features, contrast.pairs(self.labels[chosen], labels))

    def gradient(self, pixels: Tensor, sides: Sides, iteration: int) -> TermGradient:
        """Update the critic, then the gradient of the contrastive loss with the critic held still."""
        draws = generator(self.seed, "information", iteration)
        chosen, images, labels = self._batches(draws)
        attached = self.settings.synthetic_network == "attached"
        leaf = pixels.detach().requires_grad_()
        student = sides.synthetic.detach().requires_grad_(attached)
        left, right = self._views(leaf[chosen], images, draws)
        # The objective bptt has the student on both sides (its target): attached, it is asked through both.
        with torch.set_grad_enabled(attached and sides.real is sides.synthetic):
            right_features = self._features(student if sides.real is sides.synthetic else sides.real, right)
        left_features = self._features(student, left)
        weights = contrast.pairs(self.labels[chosen], labels)
        held = [[x.detach() for x in side] for side in (left_features, right_features)]
        for _ in range(self.settings.critic_steps):
            self._update(held[0], held[1], weights)
        value = self._loss(left_features, right_features, weights)
        wanted = (leaf, student) if attached else (leaf,)
        by_pixels, *by_student = torch.autograd.grad(value, wanted)
        return TermGradient(value.detach(), by_pixels, by_student[0] if attached else None)

    @torch.no_grad()
    def bounds(self, pixels: Tensor, sides: Sides, iteration: int) -> list[float]:
        """Lower bounds on the mutual information in nats, layer by layer, on the readout images."""
        images, labels = self.real.readout_images, self.real.readout_labels
        if images is None or labels is None:
            raise ValueError("the real set was prepared without readout images")
        chosen = self._synthetic_batch(generator(self.seed, "readout", iteration))
        left = self._features(sides.synthetic, pixels[chosen])
        right = self._features(sides.real, images)
        weights = contrast.pairs(self.labels[chosen], labels)
        values = []
        for k in range(len(self.layers)):
            scores = self.critic.scores(k, left[k], right[k])
            values.append(float(contrast.mutual_information_bound(self._log_ratio(k, scores, weights), weights)))
        return values

    def tensors(self) -> dict[str, Tensor]:
        """The critic and its optimiser, for a checkpoint."""
        tensors = {f"critic.{name}": value for name, value in self.critic.state_dict().items()}
        if self.optimizer is not None:
            for index, state in self.optimizer.state_dict()["state"].items():
                tensors |= {f"critic_optimizer.{index}.{name}": value for name, value in state.items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what :meth:`tensors` gave, on any device, in the place of all that was learned here.

        Raises:
            DataError: something is missing or of another size.
        """
        try:
            self.critic.load_state_dict({n: tensors[f"critic.{n}"] for n in self.critic.state_dict()})
        except (KeyError, RuntimeError) as error:
            raise DataError(f"the checkpoint's critic does not fit the run's settings: {error}") from None
        if self.optimizer is None:
            return
        document = self.optimizer.state_dict() | {"state": {}}
        for key, value in tensors.items():
            owner, _, rest = key.partition(".")
            if owner == "critic_optimizer":
                index, name = rest.split(".", 1)
                document["state"].setdefault(int(index), {})[name] = value.clone()
        self.optimizer.load_state_dict(document)

    def _synthetic_batch(self, draws: torch.Generator) -> Tensor:
        """Indices of all synthetic images, or of a class-balanced part of them."""
        count, classes = len(self.labels), self.real.classes
        each = min(count // classes, max(1, self.settings.synthetic_batch // classes))
        order = torch.rand(classes, count // classes, generator=draws).argsort(1)[:, :each]
        starts = torch.arange(classes)[:, None] * (count // classes)
        return (order + starts).flatten().sort().values.to(self.device)

    def _batches(self, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        chosen = self._synthetic_batch(draws)
        each = max(1, self.settings.real_batch // self.real.classes)
        parts = []
        for indices in self.real.class_indices:
            take = torch.randint(len(indices), (each,), generator=draws)
            parts.append(indices[take.to(indices.device)])
        picked = torch.cat(parts)
        return chosen, self.real.train_images[picked], self.real.train_labels[picked]

    def _views(self, synthetic: Tensor, real: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.settings.augment == "none" or not self.augment.enabled:
            return synthetic, real
        left = self.augment.draw_shared(len(synthetic), draws)
        right = self.augment.draw_shared(len(real), draws)
        if self.settings.augment == "shared":
            right = type(left)(left.op, left.values[:1].expand(len(real), -1).contiguous())
        return (
            self.augment(synthetic, left.to(self.device)),
            self.augment(real, right.to(self.device)),
        )

    def _features(self, parameters: Tensor, images: Tensor) -> list[Tensor]:
        outputs = self.net.features(parameters, images)
        return [pool(outputs[layer], self.settings) for layer in self.layers]

    def _constant(self, layer: int, scores: Tensor, weights: contrast.Pairs) -> Tensor:
        if self.settings.bias == "batch":
            return contrast.estimated_constant(scores, weights)
        return self.critic.constant[layer]

    def _loss(self, left: list[Tensor], right: list[Tensor], weights: contrast.Pairs) -> Tensor:
        total = torch.zeros((), device=self.device)
        for k, weight in enumerate(self.weights):
            scores = self.critic.scores(k, left[k], right[k])
            if self.settings.loss == "infonce":
                value = contrast.infonce_loss(scores, weights, negatives=self.settings.negatives)
            else:
                constant = self._constant(k, scores, weights)
                value = contrast.nce_loss(scores, constant, weights, negatives=self.settings.negatives)
            total = total + weight * value
        return total

    def _log_ratio(self, layer: int, scores: Tensor, weights: contrast.Pairs) -> Tensor:
        if self.settings.loss == "infonce":
            return contrast.softmax_log_ratio(scores, weights)
        constant = self._constant(layer, scores, weights)
        return contrast.nce_log_ratio(scores, constant, weights, negatives=self.settings.negatives)

    def _update(self, left: list[Tensor], right: list[Tensor], weights: contrast.Pairs) -> None:
        if self.optimizer is None:
            return
        self.optimizer.zero_grad(set_to_none=True)
        self._loss(left, right, weights).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
