"""Which files make up a data set, where they lie under a data directory, and how to know them.

Imports nothing heavy, so that looking for data needs no torch. File names, addresses and checksums are
torchvision's and, for CIFAR's binary release, those of https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A file of a data set: its name, MD5 and exact size in bytes (None where only the MD5 is published)."""

    name: str
    md5: str
    size: int | None = None


@dataclass(frozen=True)
class Archive:
    """Something to download: ``kind`` "plain" is the file itself, "gzip" one packed file, "tar" several.

    ``urls`` are tried in order; ``provides`` names the files it holds.
    """

    urls: tuple[str, ...]
    md5: str
    kind: str
    provides: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """One form in which a data set is published.

    Attributes:
        form: "idx", "binary", "pickled" or "mat".
        folders: where under the data directory the files may lie; downloads go to the first.
        train: files of the training set, in order.
        test: files of the test set, in order.
        archives: where the files come from; empty for a form that is only read.
    """

    form: str
    folders: tuple[str, ...]
    train: tuple[File, ...]
    test: tuple[File, ...]
    archives: tuple[Archive, ...] = ()

    @property
    def files(self) -> tuple[File, ...]:
        """All files."""
        return self.train + self.test

    def missing(self, folder: Path) -> list[str]:
        """Names of the files that are not in ``folder``; an idx file may also lie there gzipped."""
        return [file.name for file in self.files if self.locate(folder, file) is None]

    def locate(self, folder: Path, file: File) -> Path | None:
        """Where ``file`` lies in ``folder``, or None."""
        names = (file.name, f"{file.name}.gz") if self.form == "idx" else (file.name,)
        return next((folder / name for name in names if (folder / name).is_file()), None)


_MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")


def _mnist_archive(name: str, md5: str) -> Archive:
    return Archive(tuple(f"{mirror}{name}.gz" for mirror in _MNIST_MIRRORS), md5, "gzip", (name,))


_MNIST = Layout(
    form="idx",
    folders=("MNIST/raw", "."),
    train=(
        File("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", 47_040_016),
        File("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", 60_008),
    ),
    test=(
        File("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", 7_840_016),
        File("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", 10_008),
    ),
    archives=(
        _mnist_archive("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        _mnist_archive("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
        _mnist_archive("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
        _mnist_archive("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
)

_CIFAR10_TRAIN = (
    File("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", 30_730_000),
    File("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", 30_730_000),
    File("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", 30_730_000),
    File("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", 30_730_000),
    File("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", 30_730_000),
)
_CIFAR10_TEST = (File("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", 30_730_000),)
_CIFAR10 = Layout(
    form="binary",
    folders=("cifar-10-batches-bin", "."),
    train=_CIFAR10_TRAIN,
    test=_CIFAR10_TEST,
    archives=(
        Archive(
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            "c32a1d4ab5d03f1284b67883e8d87530",
            "tar",
            tuple(file.name for file in _CIFAR10_TRAIN + _CIFAR10_TEST),
        ),
    ),
)
_CIFAR10_PICKLED = Layout(
    form="pickled",
    folders=("cifar-10-batches-py", "."),
    train=(
        File("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        File("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        File("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        File("data_batch_4", "634d18415352ddfa80567beed471001a"),
        File("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    test=(File("test_batch", "40351d587109b95175f43aff81a1287e"),),
)

_CIFAR100 = Layout(
    form="binary",
    folders=("cifar-100-binary",),
    train=(File("train.bin", "6172c7755cfe09b2fe270c85cebc1b15", 153_700_000),),
    test=(File("test.bin", "4499cfba6c016c1be1438163640a0898", 30_740_000),),
    archives=(
        Archive(
            ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
            "03b5dce01913d631647c71ecec9e9cb8",
            "tar",
            ("train.bin", "test.bin"),
        ),
    ),
)
_CIFAR100_PICKLED = Layout(
    form="pickled",
    folders=("cifar-100-python",),
    train=(File("train", "16019d7e3df5f24257cddd939b257f8d"),),
    test=(File("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
)

_SVHN_TRAIN = File("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373")
_SVHN_TEST = File("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3")
_SVHN = Layout(
    form="mat",
    folders=("svhn", "SVHN", "."),
    train=(_SVHN_TRAIN,),
    test=(_SVHN_TEST,),
    archives=tuple(
        Archive((f"http://ufldl.stanford.edu/housenumbers/{file.name}",), file.md5, "plain", (file.name,))
        for file in (_SVHN_TRAIN, _SVHN_TEST)
    ),
)

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "mnist": (_MNIST,),
    "svhn": (_SVHN,),
    "cifar10": (_CIFAR10, _CIFAR10_PICKLED),
    "cifar100": (_CIFAR100, _CIFAR100_PICKLED),
}
"""The forms of each data set that lies in files, preferred first."""


def places(layouts: tuple[Layout, ...], data_dir: Path) -> list[tuple[Layout, Path]]:
    """Every folder under ``data_dir`` in which a data set is looked for, in order."""
    return [(layout, data_dir / folder) for layout in layouts for folder in layout.folders]
