"""From any form of picture to the pixels that a network sees: the one path, for evaluation and prediction alike."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, Any, NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from .data.cache import IN_MEMORY_BYTES, ImageWriter, cache_key, entry, in_memory
from .data.dataset import ImageDataset, Originals, UInt8Array
from .data.decode import ImageShape, picture_from_bytes, picture_from_image, read_picture
from .data.ink import InkSpec, NoDrawing, Normalized, already_normal, normalize_picture, normalizer_version
from .data.values import Reading, on_scale
from .errors import BadFileError, DataError
from .files import nameless_file
from .processes import map_in_order
from .progress import Progress
from .settings import default_batch_size

AnyArray: TypeAlias = npt.NDArray[np.generic]
Opened: TypeAlias = Image.Image | UInt8Array
"""A decoded picture of any size: of mode L or RGB, or uint8 (h, w, C)."""
OneImage: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | AnyArray | Mapping[str, Any]

_ACCEPTED = (
    "an array, a tensor, a PIL image, the path, the bytes or the open file of a picture, a list of these, or an "
    "ImageDataset"
)
_BLOCK = 16  # pictures that a thread decodes at a time
_CACHED = 1000  # images of which the pixels are kept on disk: fewer are sooner made again


@runtime_checkable
class Reader(Protocol):
    """How a model reads pictures; `Classifier` and `OnnxModel` have it."""

    @property
    def input_shape(self) -> ImageShape:
        """(H, W, C) of its images."""

    @property
    def ink(self) -> InkSpec | None:
        """What its training images look like; None: pictures are only resized."""

    @property
    def reading(self) -> Reading:
        """The scale of brightness of its training images, and the page that is read of files of several."""

    @property
    def normalize(self) -> bool | None:
        """Whether to normalise pictures; None, as in model files of version 1: all but arrays of its own shape."""


class Batch(NamedTuple):
    """Some images, as the network sees them; see `data.ink.Normalized`."""

    pixels: UInt8Array  # (n, H, W, C)
    reasons: list[NoDrawing | None]  # why the pixels of an image cannot be trusted, or None
    given: list[UInt8Array | None]  # (H, W, C), an image before normalising changed it, or None

    @classmethod
    def of(cls, images: list[Normalized]) -> Batch:
        """One batch of single images of the same shape."""
        pixels, reasons, given = zip(*images, strict=True)
        return cls(np.stack(pixels), list(reasons), list(given))

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """Several batches as one."""
        pixels, reasons, given = zip(*batches, strict=True)
        return cls(np.concatenate(pixels), list(chain(*reasons)), list(chain(*given)))

    @classmethod
    def as_seen(cls, pixels: UInt8Array) -> Batch:
        """Pixels uint8 (n, H, W, C) that the network sees exactly as they are."""
        return cls(pixels, [None] * len(pixels), [None] * len(pixels))

    def singly(self) -> list[Normalized]:
        """Each image by itself."""
        return [Normalized(*each) for each in zip(*self, strict=True)]

    def part(self, start: int, count: int) -> Batch:
        """``count`` images from ``start`` on, or as many as there are."""
        rows = slice(start, start + count)
        return Batch(self.pixels[rows], self.reasons[rows], self.given[rows])


Images: TypeAlias = OneImage | ImageDataset | Batch | Iterable[OneImage]
"""What can be classified: see `image_batches`."""


def normalizing_spec(model: Reader, as_is: bool | None = None) -> InkSpec | None:
    """How pictures are normalised for ``model``; None: they are only resized.

    Args:
        as_is: True only resizes, False normalises, None does what the model was found to do best.
    """
    normalizes = model.normalize is not False if as_is is None else not as_is
    return model.ink if normalizes else None


def image_batches(images: Images, model: Reader, batch_size: int, as_is: bool | None = None) -> Iterator[Batch]:
    """The pixels that ``model`` sees, in batches of at most ``batch_size`` images.

    One batch at a time is in memory: a memory-mapped array, or a generator of paths, may be of any length.

    Args:
        images: one of

            - an ImageDataset: its original pictures, where it knows them, else its images;
            - a Batch, as this function yields it, unchanged;
            - an array (N, H, W, C), or (N, H, W) for N grey images, or one image, (H, W) or (H, W, C);
              with three axes the model's own height and width in the last two mean N grey images, and
              otherwise 1, 3 or 4 at the end are the channels of one image;
            - rows of pixels (N, D) or one row (D,), D being H·W of a grey model: N images;
            - a torch tensor, or nested lists of numbers: as the array of the same values;
            - a PIL image, the path of an image file (str or Path), the file's content (bytes), or an open file;
            - what Gradio passes: ``{"background", "layers", "composite"}`` or ``{"path": …}``;
            - an iterable of single images, each any of these.

            Channels that come first, (N, C, H, W) or (C, H, W), are moved to the end; an array with two meanings is
            refused. Equal pixels give equal results in all these forms. uint8 arrays are brightness, 0 black to 255
            white; other arrays and pictures of more than 8 bits hold values on the scale of the training images
            (`data.values.on_scale`).
        as_is: see `normalizing_spec`.

    Raises:
        DataError: something that is no image, or an array of another dtype or shape.
        BadFileError: a file that cannot be decoded.
    """
    shape = model.input_shape
    if isinstance(images, Batch):
        for start in range(0, len(images.pixels), batch_size):
            yield images.part(start, batch_size)
        return
    images = _plain(images)
    if isinstance(images, ImageDataset):
        originals = images.originals
        if originals is not None and (images.image_shape != shape or normalizing_spec(model, as_is)):
            yield from _gathered(_in_parallel(images.names, model, as_is, originals.read), batch_size)
            return
        images = images.images
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OU":
        array = _as_many(images, model)
        for start in range(0, len(array), batch_size):
            part = _brightness(array[start : start + batch_size], model)
            stays = _stays(part[0], model, as_is)
            yield Batch.as_seen(part) if stays else normalized_together(part, model, as_is)
        return
    if isinstance(images, (str, os.PathLike, bytes, Image.Image)):
        images = [images]
    if not isinstance(images, Iterable):
        raise _no_image(images)
    if isinstance(images, Sequence):
        yield from _gathered(_in_parallel(images, model, as_is), batch_size)
    else:  # a generator's pictures may be large: only one is in memory
        yield from _gathered((read_image(image, model, as_is) for image in images), batch_size)


def seen(dataset: ImageDataset, model: Reader, *, as_is: bool | None = None, progress: Progress | None = None) -> Batch:
    """All images of a data set as ``model`` sees them when it predicts.

    The cache keeps results that take long; a large one is a memory map.

    Raises:
        BadFileError: an original picture can no longer be read.
        DataError: the cache cannot be written, and the result is too large for the memory.
    """
    count, shape = len(dataset), model.input_shape
    if dataset.image_shape == shape and (not count or _stays(dataset.images[0], model, as_is, dataset.originals)):
        return Batch.as_seen(dataset.images)

    def batches() -> Iterator[Batch]:
        done = 0
        for batch in image_batches(dataset, model, default_batch_size(shape), as_is):
            yield batch
            done += len(batch.pixels)
            if progress is not None:
                progress(done, count, "reading pictures")

    identity = dataset.fingerprint if dataset.originals is None else dataset.originals.key
    is_small = count * int(np.prod(shape)) <= IN_MEMORY_BYTES
    if not is_small or (identity and count >= _CACHED):
        ink = normalizing_spec(model, as_is)
        spec = None if ink is None else ink.model_dump(mode="json")
        names = hashlib.sha256(json.dumps(list(dataset.names)).encode()).hexdigest()
        key = cache_key("seen", normalizer_version(), identity or dataset.fingerprint, names, spec, list(shape))
        try:
            return _kept(key, batches, shape, count)
        except BadFileError:
            raise
        except DataError:  # no room on the disk: the memory has some
            if not is_small:
                raise
    return Batch.joined(list(batches()))


def _kept(key: str, batches: Callable[[], Iterator[Batch]], shape: ImageShape, count: int) -> Batch:
    """All batches as one, from the cache or written to it."""

    def write(writer: ImageWriter) -> dict[str, object]:
        writer.begin(shape, 2 * count)
        reasons: list[NoDrawing | None] = []
        changed: list[int] = []
        with nameless_file() as given:  # written last; they may not fit into the memory
            for batch in batches():
                writer.append(batch.pixels)
                changed += [len(reasons) + row for row, image in enumerate(batch.given) if image is not None]
                reasons += batch.reasons
                given.write(b"".join(image.tobytes() for image in batch.given if image is not None))
            given.seek(0)
            while block := given.read(default_batch_size(shape) * int(np.prod(shape))):
                writer.append(np.frombuffer(block, np.uint8).reshape(-1, *shape))
        return {"reasons": {row: reason for row, reason in enumerate(reasons) if reason}, "changed": changed}

    kept = entry(key, write)
    images = in_memory(kept.images)
    reasons = cast(dict[str, NoDrawing], kept.facts["reasons"])
    given: list[UInt8Array | None] = [None] * count
    for place, row in enumerate(cast(list[int], kept.facts["changed"]), start=count):
        given[row] = images[place]
    return Batch(images[:count], [reasons.get(str(row)) for row in range(count)], given)


def read_image(image: object, model: Reader, as_is: bool | None = None, name: str = "image") -> Normalized:
    """One picture as ``model`` sees it: every path from a picture to a network leads through this function.

    Args:
        image: a PIL image, a path, the content of an image file, or an array (h, w) or (h, w, 1, 3 or 4).
        as_is: see `normalizing_spec`.
        name: what errors call the content of a file.

    Raises:
        DataError: something that is no image, or an array of another dtype or shape.
        BadFileError: a file that cannot be decoded.
    """
    return normalized(open_image(image, model, name), model, as_is)


def open_image(image: object, model: Reader, name: str = "image") -> Opened:
    """One picture decoded, its values on the scale of ``model``: the first half of `read_image`."""
    image = _plain(image)
    if isinstance(image, np.ndarray):
        return _one_array(image, model)
    if isinstance(image, Image.Image):
        return picture_from_image(image, model.reading)
    if isinstance(image, bytes):
        return picture_from_bytes(image, name, model.reading)
    if isinstance(image, (str, os.PathLike)):
        return read_picture(image, model.reading)
    raise _no_image(image)


def normalized(opened: Opened, model: Reader, as_is: bool | None = None) -> Normalized:
    """One opened picture as ``model`` sees it: the second half of `read_image`."""
    if isinstance(opened, np.ndarray) and _stays(opened, model, as_is):
        return Normalized(opened)
    is_seen = isinstance(opened, Image.Image)
    return normalize_picture(opened, normalizing_spec(model, as_is), model.input_shape, is_seen=is_seen)


def normalized_together(images: Iterable[Opened], model: Reader, as_is: bool | None = None) -> Batch:
    """`normalized` for each picture; those of the model's size that normalising would not change are found at once.

    Pictures of other sizes are normalised one by one as they come, for they may be large.
    """
    spec, shape = normalizing_spec(model, as_is), model.input_shape
    made: list[Normalized | None] = []
    fitting: dict[int, UInt8Array] = {}
    for row, image in enumerate(images):
        pixels = None if spec is None else _of_shape(image, shape)
        if pixels is None or (isinstance(image, np.ndarray) and _stays(image, model, as_is)):
            made.append(normalized(image, model, as_is))
        else:
            fitting[row] = pixels
            made.append(None)
    if spec is not None and fitting:
        normal = already_normal(np.stack([*fitting.values()]), spec, shape).tolist()
        for (row, pixels), is_normal in zip(fitting.items(), normal, strict=True):
            made[row] = Normalized(pixels) if is_normal else normalize_picture(pixels, spec, shape)
    return Batch.of([each for each in made if each is not None])


def _of_shape(image: Opened, shape: ImageShape) -> UInt8Array | None:
    """The pixels of a picture that has a model's size and colours; of any other, None."""
    if isinstance(image, np.ndarray):
        return image if image.shape == shape else None
    if image.mode != ("L" if shape[2] == 1 else "RGB") or image.size != (shape[1], shape[0]):
        return None
    return np.asarray(image).reshape(shape)


def _stays(array: UInt8Array, model: Reader, as_is: bool | None, originals: Originals | None = None) -> bool:
    """Whether the network sees an array (h, w, c) unchanged; ``originals``: of the data set that it is from."""
    if array.shape != model.input_shape:
        return False
    is_plain_array = as_is is None and model.normalize is None and originals is None
    return is_plain_array or normalizing_spec(model, as_is) is None


def _in_parallel(
    items: Sequence[Any], model: Reader, as_is: bool | None, read: Callable[[Any], object] = lambda item: item
) -> Iterator[Normalized]:
    def work(block: Sequence[Any]) -> list[Normalized]:
        return normalized_together((open_image(read(item), model) for item in block), model, as_is).singly()

    blocks = (items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK))
    return chain.from_iterable(map_in_order(work, blocks))


def _gathered(images: Iterator[Normalized], batch_size: int) -> Iterator[Batch]:
    while batch := list(islice(images, batch_size)):
        yield Batch.of(batch)


def _plain(images: Any) -> Any:
    """Tensors, nested lists, open files and Gradio's dicts as arrays, bytes, pictures and paths; others unchanged."""
    if isinstance(images, (bytearray, memoryview)):
        return bytes(images)
    if hasattr(images, "read") and not isinstance(images, Image.Image):
        content = images.read()
        if not isinstance(content, bytes):
            raise DataError("The file was opened as text. Open it for bytes: open(path, 'rb').")
        return content
    if hasattr(images, "detach") and hasattr(images, "cpu"):  # a torch tensor, without loading torch
        tensor = images.detach().cpu()
        return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)
    if isinstance(images, Mapping):
        return _of_gradio(images)
    if isinstance(images, (list, tuple)) and _is_numbers(images):
        try:
            return np.array(images)
        except ValueError:
            raise DataError("The rows of a nested list differ in length. Give rows of equal length.") from None
    return images


def _is_numbers(value: object) -> bool:
    """Whether nested lists end in numbers."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (bool, int, float))


def _of_gradio(value: Mapping[str, Any]) -> Any:
    for key in ("composite", "path"):
        if key in value:
            if value[key] is None:
                raise DataError(f"The dict's {key!r} is None: there is no picture in it yet.")
            return _plain(value[key])
    keys = ", ".join(map(repr, list(value)[:5])) or "none"
    raise DataError(f"A dict with the keys {keys} is no image. Give one with 'composite' or 'path', as Gradio does.")


def _as_many(array: AnyArray, model: Reader) -> AnyArray:
    """The array as (N, h, w, c), without a copy."""
    height, width, channels = model.input_shape
    shape = array.shape
    match shape:
        case (count,) if count == height * width * channels:
            return _from_rows(array[np.newaxis], model)
        case (_, count) if count == height * width * channels:
            return _from_rows(array, model)
        case (_, a, b, c) if {a, c} <= {1, 3} and (a, b, c) != (1, 1, 1) and (height, width) not in ((a, b), (b, c)):
            raise DataError(
                f"An array of shape {shape} has either {a}×{b} pixels of {c} channels or {b}×{c} pixels of {a}. Give "
                "(N, height, width, channels) of the model's size."
            )
        case (_, 1 | 3, b, c) if c not in (1, 3, 4) or (b, c) == (height, width) != (shape[1], b):
            return array.transpose(0, 2, 3, 1)
        case (_, _, _, 1 | 3 | 4):
            return array
        case (3, *size) if tuple(size) == (height, width) and channels == 3:
            raise DataError(
                f"An array of shape {shape} is either one image, its channels first, or three grey ones. Give "
                "images[np.newaxis] for one, or images[..., np.newaxis] for three."
            )
        case (_, *size) if tuple(size) == (height, width):
            return array[..., np.newaxis]
        case (_, _, 1 | 3 | 4):
            return array[np.newaxis]
        case (_, _, _):
            return array[..., np.newaxis]
        case (_, _):
            return array[np.newaxis, ..., np.newaxis]
    raise DataError(
        f"An array of shape {shape} holds no images: give (N, height, width, channels), (N, height, width), rows of "
        f"{height * width * channels} pixels, or one image (height, width) or (height, width, channels)."
    )


def _from_rows(array: AnyArray, model: Reader) -> AnyArray:
    """Rows of the model's D values as images."""
    height, width, channels = model.input_shape
    if channels != 1:
        raise DataError(
            f"Rows of {array.shape[1]:,} values hold {channels} channels in an order that is not known: give "
            f"images.reshape(-1, {height}, {width}, {channels}), or .reshape(-1, {channels}, {height}, {width}) if all "
            "of the red comes first."
        )
    return array.reshape(-1, height, width, 1)


def _one_array(array: AnyArray, model: Reader) -> UInt8Array:
    """One image of a list: uint8 (h, w, c)."""
    height, width, channels = model.input_shape
    pixels = _brightness(array, model)
    if pixels.ndim == 1 and pixels.size == height * width * channels:
        pixels = _from_rows(pixels[np.newaxis], model)[0]
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise DataError(
            f"An array of shape {array.shape} in a list is not one image: give (height, width) or "
            "(height, width, channels) with 1, 3 or 4 channels."
        )
    if pixels.size == 0:
        raise DataError(f"An image of shape {pixels.shape} has no pixels.")
    return pixels


def _brightness(array: AnyArray, model: Reader) -> UInt8Array:
    """The values of an array as brightness on the model's scale."""
    if model.reading.value_range is not None:
        return on_scale(array, model.reading.value_range)
    if array.dtype == np.uint8:
        return array  # type: ignore[return-value]  # mypy does not follow dtypes
    raise DataError(
        f"Images must be uint8, 0 black to 255 white, not {array.dtype}: which of its values is white cannot "
        "be known. If it is 1: (images * 255).round().astype('uint8')."
    )


def _no_image(value: object) -> DataError:
    return DataError(f"A {type(value).__name__} is no image. Give {_ACCEPTED}.")
