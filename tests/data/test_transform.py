"""Normalisation and ZCA whitening against numpy, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.transform import Transform, covariance, fit_normalise, fit_zca
from engine.data.whitening import FOLDER, fetch, fitted, path_of, store
from engine.errors import DataError


def pixels(n: int, shape: tuple[int, int, int] = (3, 6, 5), seed: int = 0) -> torch.Tensor:
    """Correlated random images, so that the covariance is far from diagonal."""
    random = np.random.default_rng(seed)
    base = random.normal(size=(n, 4)) @ random.normal(size=(4, int(np.prod(shape)))) * 40
    noisy = base + random.normal(size=base.shape) * 15 + random.uniform(60, 190, base.shape[1])
    return torch.from_numpy(np.clip(noisy, 0, 255).astype(np.uint8)).reshape(n, *shape)


def test_normalisation_is_numpys() -> None:
    images = pixels(3000)
    transform = fit_normalise(images)
    scaled = images.numpy().astype(np.float64) / 255
    mean, std = scaled.mean((0, 2, 3)), scaled.std((0, 2, 3))
    tensors = transform.tensors()
    np.testing.assert_allclose(tensors["mean"].numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(tensors["std"].numpy(), std, rtol=1e-6)
    out = transform.forward(images)
    assert out.dtype == torch.float32
    expected = (scaled - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(out.numpy(), expected, atol=2e-6)


def test_covariance_is_numpys() -> None:
    images = pixels(2600)  # several blocks and a rest
    mean, matrix = covariance(images)
    flat = images.flatten(1).numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean.numpy(), flat.mean(0), rtol=1e-13)
    np.testing.assert_allclose(matrix.numpy(), np.cov(flat, rowvar=False), atol=1e-14)


def test_covariance_is_exact_at_the_extremes() -> None:
    images = torch.zeros(3000, 1, 2, 2, dtype=torch.uint8)
    images[::2] = 255
    images[1::7, 0, 0, 1] = 1
    flat = images.flatten(1).numpy().astype(np.float64) / 255
    np.testing.assert_allclose(covariance(images)[1].numpy(), np.cov(flat, rowvar=False), atol=1e-15)


@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
def test_whitening_is_numpys(epsilon: float) -> None:
    images = pixels(900)
    transform = fit_zca(images, epsilon)
    flat = images.flatten(1).numpy().astype(np.float64) / 255
    mean = flat.mean(0)
    centred = flat - mean
    u, s, _ = np.linalg.svd(centred.T @ centred / (len(flat) - 1))
    matrix = u @ np.diag(1 / np.sqrt(s + epsilon)) @ u.T
    np.testing.assert_allclose(transform.tensors()["whitening"].numpy(), matrix, rtol=1e-5, atol=1e-5)
    out = transform.forward(images).flatten(1).numpy()
    np.testing.assert_allclose(out, centred @ matrix, atol=1e-4)
    # What whitening is for: variances s / (s + epsilon) along the eigenvectors, nothing between them.
    found = np.cov(out.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(found, u @ np.diag(s / (s + epsilon)) @ u.T, atol=1e-4)


@pytest.mark.parametrize("kind", ["normalise", "zca"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_inverse_leads_back(kind: str, dtype: torch.dtype) -> None:
    images = pixels(500)
    transform = fit_zca(images, 0.1) if kind == "zca" else fit_normalise(images)
    back = transform.inverse(transform.forward(images).to(dtype))
    assert back.dtype == dtype
    assert float((back * 255 - images).abs().max()) < 2e-2
    beyond = transform.inverse(torch.full((1, 3, 6, 5), 50.0))
    assert float(beyond.max()) > 1, "values are not clipped"


def test_forward_is_the_same_whatever_the_number_of_images() -> None:
    images = pixels(2100)
    transform = fit_normalise(images)
    assert torch.equal(transform.forward(images)[2040:2070], transform.forward(images[2040:2070]))
    assert transform.forward(images[:0]).shape == (0, 3, 6, 5)


def test_a_constant_channel_is_refused() -> None:
    images = pixels(50)
    images[:, 1] = 7
    with pytest.raises(DataError, match="same value everywhere"):
        fit_normalise(images)


def test_constant_pixels_can_be_whitened() -> None:
    images = pixels(50, (1, 4, 4))
    images[:, :, 0] = 0
    out = fit_zca(images, 0.1).forward(images)
    assert torch.isfinite(out).all()
    assert float(out[:, :, 0].abs().max()) < 1e-6


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_tensors_make_the_same_transform(kind: str) -> None:
    images = pixels(60)
    transform = fit_zca(images, 0.1) if kind == "zca" else fit_normalise(images)
    again = Transform.from_tensors(transform.kind, transform.shape, transform.tensors()).to("cpu")
    assert again.digest() == transform.digest()
    assert torch.equal(again.forward(images), transform.forward(images))
    for name, tensor in transform.tensors().items():
        changed = transform.tensors()
        changed[name] = tensor.clone()
        changed[name].view(-1)[0] += 1e-3
        assert Transform(kind, transform.shape, changed).digest() != transform.digest()


def test_wrong_tensors_are_refused() -> None:
    good = fit_normalise(pixels(20)).tensors()
    with pytest.raises(DataError, match="unknown transform 'pca'"):
        Transform("pca", (3, 6, 5), good)
    with pytest.raises(DataError, match="tensor 'std' is missing"):
        Transform("normalise", (3, 6, 5), {"mean": good["mean"]})
    with pytest.raises(DataError, match=r"'mean' is torch.float64 \[3\], expected float32 \[3\]"):
        Transform("normalise", (3, 6, 5), {**good, "mean": good["mean"].double()})
    with pytest.raises(DataError, match=r"expected float32 \[90\]"):
        Transform("zca", (3, 6, 5), good)


def test_a_stored_whitening_is_found_by_its_digest(tmp_path: Path) -> None:
    transform = fit_zca(pixels(60), 0.1)
    path = store(transform, tmp_path)
    assert path == path_of(transform.digest(), tmp_path)
    written = path.stat().st_mtime_ns
    assert store(transform, tmp_path) == path
    assert path.stat().st_mtime_ns == written
    assert fetch(transform.digest(), tmp_path).digest() == transform.digest()
    assert [p.name for p in (tmp_path / FOLDER).iterdir()] == [path.name]


def test_a_missing_or_damaged_whitening_is_named(tmp_path: Path) -> None:
    transform = fit_zca(pixels(60), 0.1)
    with pytest.raises(DataError, match="the whitening is missing"):
        fetch(transform.digest(), tmp_path)
    path = store(transform, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(DataError, match="cannot be read"):
        fetch(transform.digest(), tmp_path)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DataError, match="is corrupted"):
        fetch(transform.digest(), tmp_path)


def test_a_fit_is_kept_for_its_images_and_epsilon(tmp_path: Path) -> None:
    images = pixels(60)
    first = fitted(images, 0.1, "a", tmp_path)
    assert fitted(images.flip(0) // 2, 0.1, "a", tmp_path).digest() == first.digest(), "read, not fitted"
    assert fitted(images, 0.2, "a", tmp_path).digest() != first.digest()
    assert fitted(images // 2, 0.1, "b", tmp_path).digest() != first.digest()
    assert fitted(images // 2, 0.1, "a", None).digest() != first.digest()


@pytest.mark.parametrize("damage", ["matrix", "index", "gone"])
def test_a_damaged_cache_is_fitted_anew(damage: str, tmp_path: Path) -> None:
    images = pixels(60)
    first = fitted(images, 0.1, "a", tmp_path)
    path = path_of(first.digest(), tmp_path)
    (index,) = (tmp_path / FOLDER).glob("fit-*.json")
    if damage == "matrix":
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "gone":
        path.unlink()
    else:
        index.write_text("{")
    assert fitted(images, 0.1, "a", tmp_path).digest() == first.digest()
    assert fetch(first.digest(), tmp_path).digest() == first.digest()
    assert json.loads(index.read_text())["digest"] == first.digest()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file")
    with pytest.raises(DataError, match=r"whitening.*cannot be written"):
        fitted(pixels(20), 0.1, "a", tmp_path)


@pytest.mark.long
def test_whitening_32x32_is_numpys(tmp_path: Path) -> None:
    """The full size, on CIFAR-10 where MIM4DD_TEST_DATA has it."""
    from engine.data.sources import load

    images = pixels(4000, (3, 32, 32))
    if directory := os.environ.get("MIM4DD_TEST_DATA"):
        images = load("cifar10", Path(directory), download=False).train.pixels[:4000]
    transform = fit_zca(images, 0.1)
    flat = images.flatten(1).numpy().astype(np.float64) / 255
    s, u = np.linalg.eigh(np.cov(flat, rowvar=False))
    matrix = (u / np.sqrt(s + 0.1)) @ u.T
    np.testing.assert_allclose(transform.tensors()["whitening"].numpy(), matrix, atol=1e-6)
    some = images[:100]
    assert float((transform.inverse(transform.forward(some)) * 255 - some).abs().max()) < 2e-2
