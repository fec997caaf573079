"""Evaluation protocols by name: how networks are trained on a synthetic set before they are measured.

A number without its protocol means little: the field's differ in epochs, rate, schedule and augmentation.

Two details of MTT's code are not followed: it trains a 1001st epoch, and it makes a new optimiser where the
rate falls, which forgets the momentum. Here momentum goes on, as ``torch.optim.SGD`` with a schedule does.

Nor are three of DREAM's: it draws from color, crop, scale, rotate and (on CIFAR) flip, whatever the set was made with,
where here the run's own strategies are drawn from; it leaves CutMix out on MNIST with several images in the place of
one; and beside the last epoch's accuracy it prints the best one's, which is chosen on the test images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """SGD training from scratch, then test accuracy of the last parameters.

    Attributes:
        epochs: passes over the set.
        learning_rate: used where the set has no step size of its own, or ``uses_step_size`` is False.
        uses_step_size: train at the step size learned with the set.
        falls: where the rate falls: the first epoch (from 0) and what it is multiplied by from then on.
        augment: apply the run's augmentation.
        source: where the settings come from.
        without: strategies of the run's augmentation that are left out.
        cutmix: probability that a batch is mixed by CutMix, after its augmentation.
    """

    name: str
    epochs: int
    learning_rate: float
    uses_step_size: bool
    momentum: float
    weight_decay: float
    falls: tuple[tuple[int, float], ...]
    batch_size: int
    augment: bool
    source: str
    without: tuple[str, ...] = ()
    cutmix: float = 0.0

    def rate(self, epoch: int, step_size: float | None) -> float:
        """Learning rate of an epoch, counted from 0."""
        base = step_size if self.uses_step_size and step_size is not None else self.learning_rate
        return base * math.prod((factor for first, factor in self.falls if epoch >= first), start=1.0)

    def told(self) -> str:
        """All of it in a sentence: what is needed to train so elsewhere."""
        own = "the set's own step size, else " if self.uses_step_size else ""
        falls = "".join(f", times {factor:g} from epoch {first + 1} on" for first, factor in self.falls)
        augmented = "no augmentation"
        if self.augment:
            augmented = "the run's augmentation" + "".join(f" without {one}" for one in self.without)
        mixed = f", then CutMix in {100 * self.cutmix:.0f} % of the batches" if self.cutmix else ""
        return (
            f"{self.epochs:,} epochs of SGD in batches of {self.batch_size}; rate {own}{self.learning_rate:g}"
            f"{falls or ', constant'}; momentum {self.momentum:g}, weight decay {self.weight_decay:g}; "
            f"{augmented}{mixed}"
        )


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="mtt-1000",
            epochs=1000,
            learning_rate=0.01,
            uses_step_size=True,
            momentum=0.9,
            weight_decay=5e-4,
            falls=((501, 0.1),),
            batch_size=256,
            augment=True,
            source="MTT's code (Cazenavette et al. 2022): the learned step size, halfway a tenth, DSA",
        ),
        Protocol(
            name="paper-300",
            epochs=300,
            learning_rate=0.01,
            uses_step_size=False,
            momentum=0.9,
            weight_decay=5e-4,
            falls=((151, 0.1),),
            batch_size=256,
            augment=False,
            source="MIM4DD states 300 epochs at 0.01 and batch 256; momentum, weight decay, the decay halfway and no "
            "augmentation are DC's (Zhao et al. 2021), whose other two values are the same",
        ),
        Protocol(
            name="quick-100",
            epochs=100,
            learning_rate=0.01,
            uses_step_size=True,
            momentum=0.9,
            weight_decay=5e-4,
            falls=((51, 0.1),),
            batch_size=256,
            augment=True,
            source="ours, for live curves: mtt-1000 with a tenth of the epochs",
        ),
        Protocol(
            name="bptt-300",
            epochs=300,
            learning_rate=0.01,
            uses_step_size=False,
            momentum=0.9,
            weight_decay=0.0,
            falls=(),
            batch_size=640,
            augment=False,
            source="the code of Remember the Past (Deng and Russakovsky 2022), by its defaults: a constant rate, no "
            "weight decay, no augmentation",
        ),
        Protocol(
            name="dream-1000",
            epochs=1000,
            learning_rate=0.01,
            uses_step_size=False,
            momentum=0.9,
            weight_decay=5e-4,
            falls=((666, 0.2), (833, 0.2)),
            batch_size=64,
            augment=True,
            without=("cutout",),
            cutmix=0.5,
            source="DREAM's code (Liu et al. 2023), which is IDC's (Kim et al. 2022): a fifth of the rate after two "
            "thirds and after five sixths, CutMix, DSA without cutout",
        ),
    )
}


def with_step_size(name: str, step_size: float | None) -> str:
    """A protocol as it trains on a set at the set's own step size: ``quick-100 at step size 0.02``; its name where it
    does not."""
    return name if step_size is None else f"{name} at step size {step_size:.3g}"


def without_step_size(name: str) -> str:
    """A protocol as it trains on images that have no step size of their own, as random real ones: its name, and where
    it uses such a step size its own rate instead. A distilled set's accuracy by the same protocol is at another rate.
    """
    protocol = PROTOCOLS.get(name)
    return name if protocol is None or not protocol.uses_step_size else f"{name} at rate {protocol.learning_rate:g}"
