"""Data sets known by name: their files, mirrors and checksums, and how they are read.

A row of `NAMED` is all that another set needs.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..errors import DataError
from ..files import read_input
from .arrays import RawArrays, RawPart, npz_arrays, read_npz
from .containers import read_cifar_folder, read_svhn_folder, read_usps
from .filetree import ArchivePath, archive_tree
from .idx import read_idx_folder


@dataclass(frozen=True)
class NamedFile:
    """One file of a data set.

    Attributes:
        name: its name on the mirrors.
        size: bytes, unpacked where the file is gzip; where ``is_whole``, the most that it may have.
        sha256: of the unpacked content, however it was gzipped; "" where nobody has published it.
        gzip_sha256: of the gzip file itself; the check where ``sha256`` is "".
        is_whole: check the file as it is, by ``md5``, or, where that is "" too, by the SHA-256 of the first download.
        md5: of the file itself, where its publisher gives no SHA-256.
    """

    name: str
    size: int
    sha256: str = ""
    gzip_sha256: str = ""
    is_whole: bool = False
    md5: str = ""


@dataclass(frozen=True)
class NamedDataset:
    """A data set with a name.

    Attributes:
        source: page of its authors.
        classes: () where the files say them.
        mirrors: addresses that the file names are appended to, in the order they are tried.
        read: reads the folder of its files.
        folder: the name of this folder, where several sets share it; "" for the name of the set.
        query: what follows the file names in addresses.
    """

    title: str
    licence: str
    source: str
    classes: tuple[str, ...]
    files: tuple[NamedFile, ...]
    mirrors: tuple[str, ...]
    read: Callable[[Path], RawArrays] = read_idx_folder
    folder: str = ""
    query: str = ""


def read_named(dataset: NamedDataset, folder: Path) -> RawArrays:
    """The arrays of a data set whose files are in ``folder``.

    Raises:
        BadFileError, DataError: a file is damaged.
    """
    raw = dataset.read(folder)
    return replace(raw, classes=dataset.classes or raw.classes)


def _files(*hashes: str, of_gzip: bool = False) -> tuple[NamedFile, ...]:
    """MNIST's four files, with the SHA-256 of the content or of the gzip file; sets of these names have these sizes."""
    names = (
        ("train-images-idx3-ubyte.gz", 47_040_016),
        ("train-labels-idx1-ubyte.gz", 60_008),
        ("t10k-images-idx3-ubyte.gz", 7_840_016),
        ("t10k-labels-idx1-ubyte.gz", 10_008),
    )
    sums = [("", sha) if of_gzip else (sha, "") for sha in hashes]
    return tuple(NamedFile(*file, *sha) for file, sha in zip(names, sums, strict=True))


def _whole(name: str, megabytes: int, md5: str = "") -> NamedFile:
    return NamedFile(name, megabytes << 20, is_whole=True, md5=md5)


# --- readers ------------------------------------------------------------------------------------------------


def _emnist(split: str) -> NamedDataset:
    def read(folder: Path) -> RawArrays:
        tree = archive_tree(folder / "gzip.zip")
        names = tuple(name for name in tree.names if f"/emnist-{split}-" in name)
        return read_idx_folder(ArchivePath(replace(tree, names=names), "gzip"))

    return NamedDataset(
        title=f"EMNIST {split}: handwritten characters, 28×28 grey (Cohen et al. 2017)",
        licence="public domain (NIST Special Database 19)",
        source="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        classes=(),
        # The MD5 that torchvision lists (torchvision/datasets/mnist.py, class EMNIST).
        files=(_whole("gzip.zip", 640, "58c8d27c78d21e728a6bc7b3cc06412e"),),
        mirrors=("https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"),
        read=read,
        folder="emnist",
    )


def _read_k49(folder: Path) -> RawArrays:
    """Kuzushiji-49: one array a file."""

    def array(name: str) -> npt.NDArray[Any]:
        [found] = npz_arrays(folder / f"k49-{name}.npz", lambda names: names[:1]).values()
        return found

    return RawArrays({
        part: RawPart(array(f"{part}-imgs"), array(f"{part}-labels"), f"{part} images", f"{part} labels")
        for part in ("train", "test")
    })  # fmt: skip


def _read_usps(folder: Path) -> RawArrays:
    try:
        train, test = (bz2.decompress(read_input(folder / name)).decode("ascii") for name in ("usps.bz2", "usps.t.bz2"))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder}: usps.bz2 or usps.t.bz2 is damaged ({error}). Download them again.") from None
    return read_usps(train, test)


def _cifar(classes: int, how_many: str, md5: str) -> NamedDataset:
    """CIFAR, with its authors' MD5, which torchvision lists too (torchvision/datasets/cifar.py)."""
    file, folder = f"cifar-{classes}-python.tar.gz", "cifar-10-batches-py" if classes == 10 else "cifar-100-python"
    return NamedDataset(
        title=f"CIFAR-{classes}: 60,000 photographs of {how_many} classes, 32×32 RGB (Krizhevsky 2009)",
        licence="not stated",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        classes=(),
        files=(_whole(file, 180, md5),),
        mirrors=("https://www.cs.toronto.edu/~kriz/", "http://www.cs.toronto.edu/~kriz/"),
        read=lambda path: read_cifar_folder(ArchivePath(archive_tree(path / file), folder)),
    )


def _medmnist(name: str, title: str, md5: str, classes: tuple[str, ...]) -> NamedDataset:
    """A set of MedMNIST v2 with one label an image; MD5 and classes from its package (medmnist/info.py, 2.1.0)."""
    return NamedDataset(
        title=f"{title} (Yang et al. 2023)",
        licence="CC BY-NC 4.0" if name == "dermamnist" else "CC BY 4.0",
        source="https://medmnist.com/",
        classes=classes,
        files=(_whole(f"{name}.npz", 256, md5),),
        mirrors=("https://zenodo.org/record/6496656/files/", "https://zenodo.org/records/6496656/files/"),
        read=lambda folder: read_npz(folder / f"{name}.npz"),
        query="?download=1",
    )


_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KANA = tuple("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわゐゑをんゝ")
_ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left", "lung-right",
    "pancreas", "spleen",
)  # fmt: skip
_MEDMNIST: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("pathmnist", "PathMNIST: 107,180 patches of colorectal tissue, 28×28 RGB", "a8b06965200029087d5bd730944a56c1",
     ("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
      "cancer-associated stroma", "colorectal adenocarcinoma epithelium")),
    ("dermamnist", "DermaMNIST: 10,015 dermatoscopic images, 28×28 RGB", "0744692d530f8e62ec473284d019b0c7",
     ("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions",
      "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions")),
    ("octmnist", "OCTMNIST: 109,309 retinal OCT images, 28×28 grey", "c68d92d5b585d8d81f7112f81e2d0842",
     ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal")),
    ("pneumoniamnist", "PneumoniaMNIST: 5,856 chest X-rays of children, 28×28 grey", "28209eda62fecd6e6a2d98b1501bb15f",
     ("normal", "pneumonia")),
    ("retinamnist", "RetinaMNIST: 1,600 retina fundus images, 28×28 RGB", "bd4c0672f1bba3e3a89f0e4e876791e4",
     tuple("01234")),
    ("breastmnist", "BreastMNIST: 780 breast ultrasound images, 28×28 grey", "750601b1f35ba3300ea97c75c52ff8f6",
     ("malignant", "normal, benign")),
    ("bloodmnist", "BloodMNIST: 17,092 blood cells, 28×28 RGB", "7053d0359d879ad8a5505303e11de1dc",
     ("basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte", "monocyte", "neutrophil",
      "platelet")),
    ("tissuemnist", "TissueMNIST: 236,386 kidney cortex cells, 28×28 grey", "ebe78ee8b05294063de985d821c1c34b",
     ("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells",
      "Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb")),
    ("organamnist", "OrganAMNIST: 58,850 axial CT slices of organs, 28×28 grey", "866b832ed4eeba67bfb9edee1d5544e6",
     _ORGANS),
    ("organcmnist", "OrganCMNIST: 23,660 coronal CT slices of organs, 28×28 grey", "0afa5834fb105f7705a7d93372119a21",
     _ORGANS),
    ("organsmnist", "OrganSMNIST: 25,221 sagittal CT slices of organs, 28×28 grey", "e5c39f1af030238290b9557d9503af9d",
     _ORGANS),
)  # fmt: skip

NAMED: dict[str, NamedDataset] = {
    "mnist": NamedDataset(
        title="MNIST: 70,000 handwritten digits, 28×28 grey",
        licence="CC BY-SA 3.0",
        source="http://yann.lecun.com/exdb/mnist/",
        classes=tuple("0123456789"),
        files=_files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
    ),
    "fashion-mnist": NamedDataset(
        title="Fashion-MNIST: 70,000 pictures of clothes, 28×28 grey (Zalando Research)",
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        classes=_CLOTHES,
        files=_files(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
    "kmnist": NamedDataset(
        title="Kuzushiji-MNIST: 70,000 cursive Japanese characters, 28×28 grey (CODH)",
        licence="CC BY-SA 4.0",
        source="https://github.com/rois-codh/kmnist",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        # The hashes that TensorFlow Datasets lists for CODH's gzip files; of the content none is published.
        files=_files(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            of_gzip=True,
        ),
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
    ),
    **{f"emnist-{split}": _emnist(split) for split in ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")},
    "k49": NamedDataset(
        title="Kuzushiji-49: 270,912 cursive Japanese characters, 28×28 grey (CODH)",
        licence="CC BY-SA 4.0",
        source="https://github.com/rois-codh/kmnist",
        classes=_KANA,
        # CODH publishes no checksums.
        files=(
            _whole("k49-train-imgs.npz", 128),
            _whole("k49-train-labels.npz", 8),
            _whole("k49-test-imgs.npz", 32),
            _whole("k49-test-labels.npz", 8),
        ),
        mirrors=("https://codh.rois.ac.jp/kmnist/dataset/k49/", "http://codh.rois.ac.jp/kmnist/dataset/k49/"),
        read=_read_k49,
    ),
    "qmnist": NamedDataset(
        title="QMNIST: MNIST with all 60,000 test digits, 28×28 grey (Yadav and Bottou 2019)",
        licence="BSD-3-Clause",
        source="https://github.com/facebookresearch/qmnist",
        classes=tuple("0123456789"),
        # The MD5s that torchvision lists (torchvision/datasets/mnist.py, class QMNIST).
        files=(
            _whole("qmnist-train-images-idx3-ubyte.gz", 16, "ed72d4157d28c017586c42bc6afe6370"),
            _whole("qmnist-train-labels-idx2-int.gz", 4, "0058f8dd561b90ffdd0f734c6a30e5e4"),
            _whole("qmnist-test-images-idx3-ubyte.gz", 16, "1394631089c404de565df7b7aeaf9412"),
            _whole("qmnist-test-labels-idx2-int.gz", 4, "5b5b05890a5e13444e108efe57b788aa"),
        ),
        mirrors=(
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
            "https://github.com/facebookresearch/qmnist/raw/main/",
        ),
    ),
    "usps": NamedDataset(
        title="USPS: 9,298 digits of zip codes, 16×16 grey (Hull 1994)",
        licence="not stated",
        source="https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps",
        classes=tuple("0123456789"),
        # The MD5s that torchvision lists (torchvision/datasets/usps.py).
        files=(
            _whole("usps.bz2", 16, "ec16c51db3855ca6c91edd34d0e9b197"),
            _whole("usps.t.bz2", 8, "8ea070ee2aca1ac39742fdd1ef5ed118"),
        ),
        mirrors=("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",),
        read=_read_usps,
    ),
    "cifar-10": _cifar(10, "ten", "c58f30108f718f92721af3b95e74349a"),
    "cifar-100": _cifar(100, "a hundred", "eb9058c3a382ffc7106e4002c42a8d85"),
    "svhn": NamedDataset(
        title="SVHN: 99,289 digits of house numbers, 32×32 RGB (Netzer et al. 2011)",
        licence="non-commercial use",
        source="http://ufldl.stanford.edu/housenumbers/",
        classes=(),
        # The MD5s that torchvision lists (torchvision/datasets/svhn.py).
        files=(
            _whole("train_32x32.mat", 256, "e26dedcc434d2e4c54c9b2d4a06d8373"),
            _whole("test_32x32.mat", 96, "eb5a983be6a315427106f1b164d9cef3"),
        ),
        mirrors=("http://ufldl.stanford.edu/housenumbers/",),
        read=read_svhn_folder,
    ),
    **{row[0]: _medmnist(*row) for row in _MEDMNIST},
}
