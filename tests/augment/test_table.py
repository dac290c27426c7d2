"""Contract tests: every row of the table of augmentations passes all of these."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glyphnet.augment import AUGMENTATIONS, Augmenter

NAMES = list(AUGMENTATIONS)
# Square, odd and even, one pixel, colour, a batch of one.
SHAPES = [(6, 28, 28, 1), (5, 9, 14, 3), (3, 1, 1, 1), (1, 8, 8, 1), (2, 1, 7, 3)]


def images(shape: tuple[int, int, int, int], seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).permute(0, 3, 1, 2)


def strength(name: str) -> float:
    """One that certainly changes something."""
    row = AUGMENTATIONS[name]
    return {"probability": 0.5, "pixels": 2}.get(row.unit, row.most / 3)


def channels(name: str) -> int:
    """Of the images that it changes: a tint changes no grey ones."""
    return 3 if name == "colour" else 1


def run(settings: dict[str, float], x: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    targets = torch.eye(4)[torch.arange(len(x)) % 4]
    augmenter = Augmenter(settings)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return augmenter.mix(augmenter(x), targets)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_shape_dtype_range_and_memory_format_are_kept(name: str, shape: tuple[int, int, int, int]) -> None:
    for value in (strength(name), AUGMENTATIONS[name].most):
        x = images(shape)
        y, targets = run({name: value}, x)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert not y.isnan().any()
        assert y.min() >= -1e-5
        assert y.max() <= 1 + 1e-5
        assert y.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(len(x)))


@pytest.mark.parametrize("name", NAMES)
def test_strides_are_those_of_the_input_even_with_one_channel(name: str) -> None:
    # With one channel two sets of strides are both "channels last"; convolutions pick their kernel by them.
    x = images((6, 28, 28, 1))
    y, _ = run({name: strength(name)}, x)
    assert y.stride() == x.stride()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(name: str) -> None:
    x = images((64, 28, 28, channels(name)))
    first, first_targets = run({name: strength(name)}, x, seed=1)
    again, again_targets = run({name: strength(name)}, x, seed=1)
    assert torch.equal(first, again)
    assert torch.equal(first_targets, again_targets)
    others = [run({name: strength(name)}, x, seed=seed)[0] for seed in (2, 3, 4)]
    assert any(not torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_not_written_to(name: str) -> None:
    x = images((6, 12, 12, 3))
    before = x.clone()
    run({name: strength(name)}, x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_is_the_identity_and_draws_nothing(name: str) -> None:
    x = images((6, 28, 28, 1))
    targets = torch.eye(6)
    augmenter = Augmenter({name: 0})
    assert not augmenter.changes_images
    assert not augmenter.mixes_targets
    random = torch.get_rng_state()
    assert augmenter(x) is x
    assert augmenter.mix(x, targets) == (x, targets)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("mixup", "cutmix", "shift_batch")])
def test_every_image_is_changed_by_itself(name: str) -> None:
    x = images((1, 28, 28, channels(name))).expand(32, -1, 28, 28).contiguous(memory_format=torch.channels_last)
    y, _ = run({name: strength(name)}, x)
    assert len({image.numpy().tobytes() for image in y}) > 1


@pytest.mark.parametrize("name", NAMES)
def test_shape_alone_can_be_followed_on_meta(name: str) -> None:
    # No number is read back to the host and no shape depends on one: the meta device has none to read.
    augmenter = Augmenter({name: strength(name)})
    x = torch.empty(4, 1, 12, 12, device="meta")
    if name == "mixup":
        pytest.skip("torch has no Dirichlet on meta; the CUDA test covers it")
    y = augmenter(x)
    assert y.shape == x.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_can_be_captured_in_a_cuda_graph_and_draws_anew_at_each_replay(name: str) -> None:
    x, targets = images((16, 12, 12, 1)).cuda(), torch.eye(4).repeat(4, 1).cuda()
    augmenter = Augmenter({name: strength(name)})
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            augmenter.mix(augmenter(x), targets)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y, _ = augmenter.mix(augmenter(x), targets)
    results = []
    for _ in range(6):
        graph.replay()
        results.append(y.cpu().numpy().tobytes())
    assert len(set(results)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_every_row_explains_itself(name: str) -> None:
    row = AUGMENTATIONS[name]
    assert row.unit
    assert row.doc
    assert row.most > 0
