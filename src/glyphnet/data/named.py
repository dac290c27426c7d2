"""Data sets known by name: their files, mirrors and checksums, how they are found or downloaded, and how they are read.

A row of `NAMED` is all that another set needs.
"""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..errors import BadFileError, DataError, DownloadError, SettingsError
from ..files import atomic_write_text, make_folder, move, new_file, open_input, read_input, remove
from ..locks import temporary_folder
from ..progress import Progress
from .arrays import RawArrays, RawPart, npz_arrays, read_npz
from .cache import cache_folder
from .containers import read_cifar_folder, read_svhn_folder, read_usps
from .dataset import Int64Array, UInt8Array
from .filetree import PIECE, ArchivePath, archive_tree, is_gzipped, unpacked
from .idx import read_idx_folder

_TIMEOUT = 20.0  # seconds that a server may stay silent
_ROUNDS = (0.0, 1.0, 4.0)  # seconds of waiting before each round of asking all mirrors


@dataclass(frozen=True)
class NamedFile:
    """One file of a data set.

    Attributes:
        size: bytes, unpacked where the file is gzip; where ``is_whole``, the most that it may have.
        is_whole: check the file as it is, by ``md5``, or, where that is "" too, by the SHA-256 of the first download.
    """

    name: str  # on the mirrors
    size: int
    sha256: str = ""  # of the unpacked content, however it was gzipped; "" where nobody has published it
    gzip_sha256: str = ""  # of the gzip file itself; the check where ``sha256`` is ""
    is_whole: bool = False
    md5: str = ""  # of the file itself, where its publisher gives no SHA-256


@dataclass(frozen=True)
class NamedDataset:
    """A data set with a name."""

    title: str
    licence: str
    source: str  # page of its authors
    classes: tuple[str, ...]  # () where the files say them
    files: tuple[NamedFile, ...]
    mirrors: tuple[str, ...]  # addresses that the file names are appended to, in the order they are tried
    read: Callable[[Path], RawArrays] = read_idx_folder  # reads the folder of its files
    folder: str = ""  # the name of this folder, where several sets share it; "" for the name of the set
    query: str = ""  # what follows the file names in addresses


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


# Readers


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


# Files


def read_named(name: str, progress: Progress | None = None, warn: Callable[[str], None] | None = None) -> RawArrays:
    """The arrays of a named data set; arguments and errors as for `fetch`."""
    raw = NAMED[name].read(fetch(name, progress=progress, warn=warn))
    return replace(raw, classes=NAMED[name].classes or raw.classes)


def fetch(name: str, *, progress: Progress | None = None, warn: Callable[[str], None] | None = None) -> Path:
    """The folder with the files of a named data set, checked, and downloaded where they are missing.

    Looked up in ``$GLYPHNET_DATA/<name>``, then in the cache, then on the mirrors.

    Args:
        progress: called with (bytes done, bytes in all or 0, file name) while downloading.
        warn: called with a sentence for each file without a published checksum, when it is first met.

    Raises:
        SettingsError: there is no such name.
        BadFileError: a file in ``$GLYPHNET_DATA`` is not what it should be.
        DownloadError: no mirror could be reached, or none has the right files.
    """
    if name not in NAMED:
        raise SettingsError(f"There is no data set called {name!r}; known by name: {', '.join(NAMED)}.")
    dataset = NAMED[name]
    given = os.environ.get("GLYPHNET_DATA")
    by_hand = Path(given or "$GLYPHNET_DATA") / (dataset.folder or name)
    found = [_find(by_hand, file) for file in dataset.files] if given else []
    if found and all(found):
        for file, path in zip(dataset.files, found, strict=True):
            assert path is not None
            if wrong := _fault(path, file):
                remedy = f"Replace it by {file.name} from {dataset.source}, or remove it to have it downloaded."
                raise BadFileError(path, wrong, remedy)
            _pin(path, file, warn)
        return by_hand
    folder = cache_folder() / "datasets" / (dataset.folder or name)
    remedy = f"To provide the files by hand, put {', '.join(file.name for file in dataset.files)} into {by_hand}" + (
        "." if given else ", where GLYPHNET_DATA is a folder of your choice."
    )
    try:
        for file in dataset.files:
            if not (folder / file.name).is_file() or _fault(folder / file.name, file):
                _download(dataset, file, folder, remedy, progress)
            _pin(folder / file.name, file, warn)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}. Set GLYPHNET_CACHE to a folder to write to.") from error
    return folder


def is_here(name: str) -> bool:
    """Whether a named data set is on this machine: a key of `NAMED` whose files need no mirror, or "digits"."""
    if name == "digits":  # of scikit-learn, which an image that only serves does without
        return find_spec("sklearn") is not None
    dataset = NAMED[name]
    folder = dataset.folder or name
    given = os.environ.get("GLYPHNET_DATA")
    places = [cache_folder() / "datasets" / folder, *([Path(given) / folder] if given else [])]
    return any(all(_find(place, file) for file in dataset.files) for place in places)


def _download(dataset: NamedDataset, file: NamedFile, folder: Path, remedy: str, progress: Progress | None) -> None:
    """Fetch a file from the first mirror that has it right, and put it in place in one step.

    A mirror that refuses (HTTP 4xx) or sends wrong bytes is asked once, a failing one in each round of `_ROUNDS`.
    """
    from requests import RequestException  # an HTTP client, which few runs need

    urls = [mirror + file.name + dataset.query for mirror in dataset.mirrors]
    reasons: dict[str, str] = {}
    make_folder(folder)
    with temporary_folder(folder) as room:
        for wait in _ROUNDS:
            time.sleep(wait)
            for url in list(urls):
                try:
                    _receive(url, room / file.name, file, progress)
                    move(room / file.name, folder / file.name)
                    return
                except (RequestException, ValueError) as error:  # ValueError: a header that is no number, too
                    reasons[url], again = _judge(error)
                    if not again:
                        urls.remove(url)
            if not urls:
                break
    failures = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
    raise DownloadError(f"{file.name} could not be downloaded. {failures}. {remedy}")


def _receive(url: str, path: Path, file: NamedFile, progress: Progress | None) -> None:
    """Download ``url`` to ``path``; ValueError if what a mirror sends is not the file."""
    import requests

    # Deflate's worst case adds five bytes to 16 thousand.
    limit = file.size if file.is_whole else file.size + file.size // 1000 + 4096
    headers = {"User-Agent": f"glyphnet/{__version__}", "Accept-Encoding": "identity"}
    remove(path)  # of the mirror before
    with new_file(path) as target, requests.get(url, headers=headers, timeout=_TIMEOUT, stream=True) as response:
        response.raise_for_status()
        response.raw.headers.pop("Content-Encoding", None)  # a .gz file stays packed, whatever the server calls it
        done, total = 0, int(response.headers.get("Content-Length", 0))
        for piece in response.iter_content(1 << 16):
            done += len(piece)
            if max(done, total) > limit:
                raise ValueError(f"sends more than the {limit:,} bytes that the file can have")
            target.write(piece)
            if progress is not None:
                progress(done, total, file.name)
    if wrong := _measure(path, file):
        raise ValueError(wrong)


def _judge(error: Exception) -> tuple[str, bool]:
    """Why a mirror failed, and whether it may be asked again."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        code = error.response.status_code
        return f"HTTP {code} {error.response.reason}".rstrip(), code >= 500 or code in (408, 425, 429)
    if isinstance(error, requests.Timeout):
        return f"silent for {_TIMEOUT:g} s", True
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "not an http or https address", False
    if isinstance(error, requests.RequestException):
        cause = getattr(error.args[0] if error.args else None, "reason", None)  # urllib3's, of a failed connection
        return f"no connection ({str(cause).rpartition(': ')[2]})" if cause else "the connection broke off", True
    return str(error), False


def _find(folder: Path, file: NamedFile) -> Path | None:
    """The file as it is called on the mirrors, or unpacked."""
    for name in (file.name, file.name.removesuffix(".gz")):
        if (folder / name).is_file():
            return folder / name
    return None


def _fault(path: Path, file: NamedFile) -> str:
    """What is wrong with a file, "" if nothing; a sound file is remembered until it changes."""
    expected = file.sha256 or file.gzip_sha256 or file.md5 or _pinned(file)
    status = path.stat()
    state = [os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, expected]
    mark = cache_folder() / "verified" / f"{hashlib.sha256(json.dumps(state).encode()).hexdigest()}.json"
    if mark.exists():
        return ""
    wrong = _measure(path, file)
    if not wrong:
        with contextlib.suppress(OSError):  # a cache that cannot be written to: then it is measured each time
            make_folder(mark.parent)
            atomic_write_text(mark, json.dumps(state))
    return wrong


def _measure(path: Path, file: NamedFile) -> str:
    """What is wrong with the content of a file, "" if nothing is."""
    if file.is_whole:
        return _measure_whole(path, file)
    try:
        found, size = content_sha256(path, limit=file.size)
        if not file.sha256 and not is_gzipped(path):
            return "unpacked, but only the SHA-256 of the gzip file is known, so it cannot be checked"
    except BadFileError as error:
        return error.reason
    if size != file.size:
        more = "more than " if size > file.size else ""
        return f"has {more}{min(size, file.size):,} bytes of content, where {file.size:,} are expected"
    expected = file.sha256 or file.gzip_sha256
    found = found if file.sha256 else _digest(path)
    return "" if found == expected else f"its content has SHA-256 {found}, expected is {expected}"


def content_sha256(path: Path, limit: int) -> tuple[str, int]:
    """SHA-256 (hex) of the content, gunzipped, and its size in bytes; reads at most one byte more than ``limit``."""
    digest, size = hashlib.sha256(), 0
    with unpacked(path) as file:
        while size <= limit and (piece := file.read1(min(PIECE, limit + 1 - size))):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _measure_whole(path: Path, file: NamedFile) -> str:
    """What is wrong with a file whose own checksum is known, or pinned."""
    stored = path.stat().st_size
    if stored > file.size:
        return f"has {stored:,} bytes, where {file.size:,} are the most"
    expected = file.md5 or _pinned(file)
    if not expected:
        return "" if stored else "is empty"
    found = _digest(path, "md5" if file.md5 else "sha256")
    if found == expected:
        return ""
    what, whose = ("MD5", "") if file.md5 else ("SHA-256", ", as at the first download")
    return f"its {what} is {found}, expected is {expected}{whose}"


def _pin_path(file: NamedFile) -> Path:
    return cache_folder() / "pinned" / f"{file.name}.sha256"


def _pinned(file: NamedFile) -> str:
    """The SHA-256 of a file's first download; "" for none, or where a published checksum is known."""
    if not file.is_whole or file.md5:
        return ""
    try:
        return read_input(_pin_path(file)).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _pin(path: Path, file: NamedFile, warn: Callable[[str], None] | None) -> None:
    """Remember the SHA-256 of a file without a published checksum, and warn the first time."""
    if not file.is_whole or file.md5 or _pinned(file):
        return
    found = _digest(path)
    with contextlib.suppress(OSError):  # a cache that cannot be written to: then it warns each time
        make_folder(_pin_path(file).parent)
        atomic_write_text(_pin_path(file), found)
    if warn is not None:
        warn(f"{file.name}: not verified: first download. Its SHA-256 is {found}; from now on it must be this.")


def _digest(path: Path, kind: str = "sha256") -> str:
    with open_input(path) as file:
        return hashlib.file_digest(file, kind).hexdigest()


# scikit-learn's digits: 1,797 grey images of 8×8 pixels, in ten classes


def read_digits() -> tuple[UInt8Array, Int64Array, tuple[str, ...]]:
    """Images uint8 (1797, 8, 8, 1), labels int64 (1797,), and the ten class names.

    The values 0 to 16 become 0 to 255, rounded: the 17 values stay distinct, and ``round(v * 16 / 255)``
    gives them back.
    """
    table = _table()
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return images, table[:, -1].astype(np.int64), tuple("0123456789")


def _table() -> npt.NDArray[np.float64]:
    """The table that scikit-learn's ``load_digits`` reads, float64 (1797, 65): pixels row by row, label."""
    # scikit-learn takes a second to import: its file is read directly, unless it has moved.
    package = find_spec("sklearn")
    places = (package and package.submodule_search_locations) or []
    for file in (Path(place, "datasets", "data", "digits.csv.gz") for place in places):
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])
