"""The numbers of each method, held against a computation of our own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from glyphnet.explain import saliency
from glyphnet.explain.methods import baseline_of, last_feature_maps

BASELINES = ["background", "mean"]


def inputs(classifier, images) -> torch.Tensor:
    return classifier.preprocessing(torch.from_numpy(images.copy()))


def background(x: np.ndarray) -> np.ndarray:
    """The oracle of the background: (n, C, H, W), the lower median of each border, colour by colour."""
    result = np.empty_like(x)
    for image, nothing_of_it in zip(x, result, strict=True):
        for channel, empty in zip(image, nothing_of_it, strict=True):
            border = sorted([*channel[0], *channel[-1], *channel[:, 0], *channel[:, -1]])
            empty[:] = border[(len(border) - 1) // 2]
    return result


def baseline(x: torch.Tensor, which: str) -> np.ndarray:
    return background(x.numpy()) if which == "background" else np.zeros(x.shape, np.float32)


def test_nothing_is_the_colour_of_the_border(pixels) -> None:
    images = np.full((1, 9, 8, 3), (10, 20, 30), np.uint8)
    images[:, 2:7, 2:7] = 255
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    assert torch.equal(baseline_of(x, "background"), torch.tensor([10.0, 20, 30])[None, :, None, None].expand_as(x))
    assert not baseline_of(x, "mean").any()


@pytest.mark.parametrize("which", BASELINES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("steps", [1, 8])
def test_integrated_gradients_of_a_linear_network_are_weight_times_pixel(
    make, pixels, which: str, channels: int, steps: int
) -> None:
    shape = (7, 5, channels)
    classifier, images = make("linear", shape), pixels(4, shape)
    x = inputs(classifier, images)
    weight = classifier.network.head.weight.detach().numpy().reshape(4, *shape)[2].transpose(2, 0, 1)
    expected = (weight * (x.numpy() - baseline(x, which))).sum(axis=1)
    found = saliency(classifier, images, 2, steps=steps, baseline=which)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("which", BASELINES)
@pytest.mark.parametrize("kind", ["mlp", "cnn", "cnn-classic", "rnn"])
def test_integrated_gradients_sum_to_the_difference_of_logits(make, pixels, kind: str, which: str) -> None:
    classifier, images = make(kind), pixels(20)
    x = inputs(classifier, images)
    with torch.no_grad():
        difference = classifier.network(x) - classifier.network(torch.from_numpy(baseline(x, which)))
    for steps, tolerance in ((16, 0.1), (400, 0.02)):
        total = saliency(classifier, images, 1, steps=steps, baseline=which).sum(axis=(1, 2))
        error = np.abs(total - difference[:, 1].numpy()).mean() / np.abs(difference[:, 1].numpy()).mean()
        assert error < tolerance, (kind, steps)


def test_many_steps_on_one_large_image_go_in_parts(make, pixels) -> None:
    shape = (96, 96, 3)  # 37 at once
    classifier, images = make("linear", shape), pixels(1, shape)
    sizes: list[int] = []
    real = type(classifier.network.head).forward

    def counted(self, x):
        sizes.append(len(x))
        return real(self, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(classifier.network.head), "forward", counted)
        many = saliency(classifier, images, 0, steps=50)
    assert max(sizes) <= 37
    np.testing.assert_allclose(many, saliency(classifier, images, 0, steps=1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("which", "window", "stride"), [("background", 4, 2), ("mean", 3, 3), ("background", 5, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_occlusion_is_what_the_logit_loses(make, pixels, which: str, window: int, stride: int, channels: int) -> None:
    shape = (11, 9, channels)
    classifier, images = make("cnn", shape), pixels(2, shape)
    x = inputs(classifier, images).numpy()
    empty = baseline(torch.from_numpy(x), which)

    def logit(batch: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return classifier.network(torch.from_numpy(batch))[:, 3].numpy()

    losses, times = np.zeros((2, 11, 9)), np.zeros((11, 9))
    for top in range(0, stride * int(np.ceil((11 - window) / stride)) + 1, stride):
        for left in range(0, stride * int(np.ceil((9 - window) / stride)) + 1, stride):
            place = np.s_[top : min(top + window, 11), left : min(left + window, 9)]
            covered = x.copy()
            covered[:, :, *place] = empty[:, :, *place]
            losses[:, *place] += (logit(x) - logit(covered))[:, None, None]
            times[place] += 1
    found = saliency(classifier, images, 3, method="occlusion", window=window, stride=stride, baseline=which)
    np.testing.assert_allclose(found, losses / times, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["cnn", "cnn-classic", "resnet"])
def test_grad_cam_is_the_paper_computed_directly(make, pixels, kind: str) -> None:
    shape = (20, 16, 1)
    classifier, images = make(kind, shape), pixels(3, shape)
    kept: list[torch.Tensor] = []
    handle = last_feature_maps(classifier.network).register_forward_hook(lambda _, __, output: kept.append(output))
    classifier.network(inputs(classifier, images))[:, 2].sum().backward(inputs=[kept[0]])
    handle.remove()
    maps = kept[0].detach()
    weights = kept[0].grad.mean(dim=(2, 3), keepdim=True)
    coarse = (weights * maps).sum(dim=1, keepdim=True)
    expected = F.interpolate(coarse, (20, 16), mode="bilinear")[:, 0]
    np.testing.assert_allclose(saliency(classifier, images, 2, method="grad-cam"), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("cnn", "activation1"),
        ({"kind": "cnn", "downsample": "pool", "batch_norm": True}, "activation1"),
        ("cnn-classic", "activation2"),
        ("resnet", "stage3_block1"),
    ],
)
def test_grad_cam_looks_at_the_last_feature_maps(make, network, name: str) -> None:
    built = make(network, (28, 28, 1)).network
    assert last_feature_maps(built) is built.get_submodule(name)
