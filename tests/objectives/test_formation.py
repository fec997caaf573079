"""Stored images that each hold several: decoding, its transpose, and what a run and its artifact make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine import reuse
from engine.artifact import DistilledSet, load_artifact
from engine.data.prepare import prepare
from engine.data.sources import load
from engine.errors import DataError
from engine.export import export
from engine.formation import compose, decode, decode_labels, pull_back
from engine.seeds import generator
from engine.state import initial_pixels
from tests.distill.helpers import Place, Watch, quickly, tiny


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, "images"), dtype=torch.float64)


@pytest.mark.parametrize(("factor", "height", "width"), [(2, 8, 8), (4, 8, 12), (7, 28, 28), (3, 9, 6)])
def test_patches_are_enlarged_as_torch_interpolates(factor: int, height: int, width: int) -> None:
    stored = drawn(3, 2, height, width)
    found = decode(stored, factor)
    assert found.shape == (3 * factor**2, 2, height, width)
    rows, columns = height // factor, width // factor
    for image in range(3):
        for i in range(factor):
            for j in range(factor):
                patch = stored[image, :, i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
                expected = F.interpolate(patch[None], size=(height, width), mode="bilinear", align_corners=False)[0]
                assert torch.allclose(found[image * factor**2 + i * factor + j], expected, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_pull_back_is_the_transpose(factor: int) -> None:
    stored, cotangent = drawn(3, 2, 8, 8), drawn(3 * factor**2, 2, 8, 8)
    leaf = stored.clone().requires_grad_()
    (expected,) = torch.autograd.grad((decode(leaf, factor) * cotangent).sum(), leaf)
    assert torch.allclose(pull_back(cotangent, factor), expected, atol=1e-12)


def test_a_factor_of_one_is_the_same_tensor() -> None:
    stored, labels = drawn(2, 1, 8, 8), torch.arange(2)
    assert decode(stored, 1) is stored
    assert decode_labels(labels, 1) is labels
    assert pull_back(stored, 1) is stored
    assert compose(stored, 1) is stored


def test_labels_stay_with_their_images() -> None:
    assert decode_labels(torch.tensor([3, 1]), 2).tolist() == [3] * 4 + [1] * 4
    soft = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    assert torch.equal(decode_labels(soft, 2), soft.repeat_interleave(4, 0))


def test_a_composed_image_decodes_into_its_images() -> None:
    flat = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 8, 8)
    stored = compose(flat, 2)
    assert stored.shape == (2, 1, 8, 8)
    assert torch.allclose(decode(stored, 2), flat)


def test_the_starting_set_holds_factor_squared_real_images_a_stored_one() -> None:
    config = tiny(synthetic__formation=2, synthetic__images_per_class=2)
    real = prepare(load("digits"), config.data, seed=0, readout=40)
    pixels, labels = initial_pixels(config, real)
    assert pixels.shape == (20, 1, 8, 8)
    assert labels.tolist() == [c for c in range(10) for _ in range(2)]
    smaller = F.avg_pool2d(real.train_images[torch.cat(real.class_indices)], 2).flatten(1)
    patches = pixels.reshape(20, 2, 4, 2, 4).permute(0, 1, 3, 2, 4).reshape(80, 16)
    gaps = (patches[:, None] - smaller).abs().amax(2).amin(1)
    assert float(gaps.max()) < 1e-6
    with pytest.raises(DataError, match="formation"):
        initial_pixels(config, replace(real, class_indices=[pool[:7] for pool in real.class_indices]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A finished run whose stored images hold four each."""
    place = Place(tmp_path_factory.mktemp("formation"))
    with quickly():
        place.start(tiny(synthetic__formation=2, objective__iterations=3, evaluation__every=0), Watch())
        yield place


def stored_set(place: Place) -> DistilledSet:
    return load_artifact(place.folder / "distilled" / "last.safetensors", cache_dir=place.cache)


def test_the_artifact_stores_what_is_learned_and_gives_what_networks_see(run: Place, tmp_path: Path) -> None:
    item = stored_set(run)
    assert (item.formation, len(item), item.pixels.shape) == (2, 10, (10, 1, 8, 8))
    images, labels = item.decoded()
    assert images.shape == (40, 1, 8, 8)
    assert labels.tolist() == [c for c in range(10) for _ in range(4)]
    assert torch.equal(item.images(), item.transform.inverse(images).clamp(0, 1))
    assert item.preview().shape == (10, 8, 8, 1)
    assert len(item.dataset()) == 40
    item.save(tmp_path / "again.safetensors")
    assert load_artifact(tmp_path / "again.safetensors").fingerprint() == item.fingerprint()
    alike = DistilledSet(item.pixels, item.labels, item.step_size, item.transform, 10, item.class_names)
    assert alike.fingerprint() != item.fingerprint(), "the same pixels, another set"


def test_a_factor_that_does_not_divide_the_side_is_refused(run: Place) -> None:
    item = stored_set(run)
    for factor in (0, 3):
        with pytest.raises(DataError, match="formation"):
            DistilledSet(
                item.pixels, item.labels, None, item.transform, 10, item.class_names, formation=factor
            )  # fmt: skip


def test_exports_are_decoded_but_for_the_grid(run: Place, tmp_path: Path) -> None:
    item = stored_set(run)
    with np.load(export(item, tmp_path / "set.npz", "npz")) as arrays:
        assert arrays["images"].shape == arrays["pixels"].shape == (40, 1, 8, 8)
        assert arrays["labels"].shape == (40,)
        assert '"stored_images": 10' in str(arrays["about"])
    folder = export(item, tmp_path / "pictures", "folder")
    assert len(list(folder.rglob("*.png"))) == 40
    assert export(item, tmp_path / "grid.png", "png").is_file()


def test_the_set_alone_gives_the_runs_own_accuracies(run: Place) -> None:
    result = run.resume()
    judged = reuse.judge(stored_set(run))
    assert list(judged.score.accuracies) == result["accuracy"]["accuracies"]
