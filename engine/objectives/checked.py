"""What an episode gives back, looked at before it is used: a mistake in a method is told where it was made.

It costs a comparison of shapes an iteration; whether numbers are finite is looked at in ``engine.distill``.
"""

from __future__ import annotations

from numbers import Real

from torch import Tensor

from engine.errors import RunFailed
from engine.gradient import SyntheticGradient
from engine.objectives.base import SyntheticSet

READ_ONLY = ("pixels", "labels", "step_size")


class Given:
    """The set that an episode was given.

    Args:
        name: of the objective.
    """

    def __init__(self, name: str, synthetic: SyntheticSet) -> None:
        self.name = name
        self._tensors: dict[str, Tensor] = {field: getattr(synthetic, field) for field in READ_ONLY}
        self._versions = {field: tensor._version for field, tensor in self._tensors.items()}

    def require_unchanged(self) -> None:
        """Refuses a change in place.

        Raises:
            RunFailed: a tensor of the set was written into.
        """
        for field, tensor in self._tensors.items():
            if tensor._version != self._versions[field]:
                raise RunFailed(
                    f"objective {self.name} changes synthetic.{field} in place: it is the run's own, to be read only. "
                    f"Change a copy (synthetic.{field}.clone()); the last checkpoint is intact"
                )

    def value(self, loss: object) -> float:
        """A loss as a number, finite or not.

        Raises:
            RunFailed: it is not one real number.
        """
        if isinstance(loss, Tensor) and loss.numel() == 1 and not loss.is_complex():
            return float(loss.detach())
        if isinstance(loss, Real):
            return float(loss)
        raise self._wrong("its loss", loss, "a tensor []")

    def gradient(self, found: object, where: str) -> SyntheticGradient:
        """A gradient, as a constant.

        Args:
            found: what ``where``, a method of the episode, has returned.

        Raises:
            RunFailed: it is none of this set.
        """
        if not isinstance(found, SyntheticGradient):
            raise self._wrong(f"{where}()", found, "a SyntheticGradient")
        pixels = self._like(found.pixels, "pixels", where)
        step_size = None if found.step_size is None else self._like(found.step_size, "step_size", where)
        learned = self._tensors["labels"].is_floating_point()
        if not learned and found.labels is not None:
            raise self._wrong(f"{where}().labels", found.labels, "None: these labels are not learned")
        labels = self._like(found.labels, "labels", where) if learned else None
        return SyntheticGradient(pixels, step_size, labels)

    def _like(self, found: object, field: str, where: str) -> Tensor:
        wanted = self._tensors[field]
        if not isinstance(found, Tensor) or _kind(found) != _kind(wanted):
            raise self._wrong(f"{where}().{field}", found, f"{described(wanted)}, as synthetic.{field} is")
        return found.detach()

    def _wrong(self, what: str, found: object, wanted: str) -> RunFailed:
        return RunFailed(f"objective {self.name}: {what} is {described(found)}, and has to be {wanted}")


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def described(value: object) -> str:
    """For example "float32 [10, 1, 8, 8] on cpu", "None" or "a list"."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
    return "None" if value is None else f"a {type(value).__name__}"
