"""The engine of the pages beside PyTorch: gradients of every layer and loss, and the course of a training."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glyphnet import load, load_model
from glyphnet.nn.kinds import ClassicCNNSpec, MLPSpec
from glyphnet.nn.modules import ACTIVATION_TYPES, Flatten, ResidualBlock
from glyphnet.training.callbacks import Callback, StepInfo
from glyphnet.training.examples import Examples, epoch_order
from glyphnet.training.fit import fit
from glyphnet.training.optimizers import SGD, Adam, AdamW
from glyphnet.training.recipe import Recipe
from glyphnet.training.state import TrainingState

from ..javascript import run_module

IMPORTS = """
import { Network } from "./pages/js/network.js";
import { Training } from "./pages/js/engine/training.js";
const floats = (layer) => {
  for (const [name, value] of Object.entries(layer)) {
    if (["branch", "shortcut"].includes(name)) value.forEach(floats);
    else if (Array.isArray(value)) layer[name] = Float32Array.from(value);
  }
  return layer;
};
const networkOf = (given, more = {}) =>
  new Network(given.shape, given.layers.map(floats), { batch: 64, training: true, ...more });
"""


def numbers(tensor: Tensor) -> list[float]:
    return tensor.detach().flatten().tolist()


def described(layer: nn.Module) -> list[dict[str, Any]]:
    """A layer of PyTorch as the engine takes it, with its weights."""
    match layer:
        case nn.Sequential():
            return [each for part in layer for each in described(part)]
        case nn.Linear():
            bias = None if layer.bias is None else numbers(layer.bias)
            return [{"type": "dense", "weight": numbers(layer.weight.T), "outputs": layer.out_features, "bias": bias}]
        case nn.Conv2d():
            bias = None if layer.bias is None else numbers(layer.bias)
            window = {"kernel": layer.kernel_size[0], "stride": layer.stride[0], "padding": layer.padding[0]}
            weight = numbers(layer.weight.permute(2, 3, 1, 0))
            return [{"type": "convolution", "weight": weight, "outputs": layer.out_channels, "bias": bias, **window}]
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return [
                {
                    "type": "batchNorm",
                    "scale": numbers(layer.weight),
                    "shift": numbers(layer.bias),
                    "mean": numbers(layer.running_mean),
                    "variance": numbers(layer.running_var),
                }
            ]
        case nn.MaxPool2d():
            return [{"type": "maxPool", "size": layer.kernel_size}]
        case nn.AdaptiveAvgPool2d():
            return [{"type": "meanPixel"}]
        case Flatten():
            return [{"type": "flatten"}]
        case nn.Dropout():
            return [{"type": "dropout", "rate": layer.p}]
        case nn.Identity():
            return []
        case ResidualBlock():
            branch = (layer.conv1, layer.norm1, layer.activation1, layer.conv2, layer.norm2)
            parts = {"branch": branch, "shortcut": (layer.shortcut,)}
            inner = {name: [each for one in part for each in described(one)] for name, part in parts.items()}
            return [{"type": "residual", **inner}, *described(layer.activation2)]
    [name] = [name for name, kind in ACTIVATION_TYPES.items() if kind is type(layer)]
    return [{"type": "activation", "name": name}]


def gradients(network: nn.Module) -> list[Tensor]:
    """Those of the parameters, with outputs last, as the engine has them."""
    made = []
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d)):
            assert layer.weight.grad is not None
            weight = layer.weight.grad
            made.append(weight.permute(*range(2, weight.ndim), 1, 0).flatten() if weight.ndim > 1 else weight)
            if layer.bias is not None:
                made.append(layer.bias.grad)
    return made


CASES: dict[str, tuple[tuple[int, int, int], Callable[[], nn.Sequential]]] = {
    "dense": ((3, 3, 2), lambda: nn.Sequential(Flatten(), nn.Linear(18, 7), nn.Tanh(), nn.Linear(7, 3))),
    "convolution": (
        (7, 6, 2),
        lambda: nn.Sequential(
            nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3, stride=2), Flatten(), nn.Linear(24, 3)
        ),
    ),
    "1×1 and 5×5": (
        (8, 8, 3),
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Sigmoid(), nn.Conv2d(6, 9, 1), Flatten(), nn.Linear(144, 3)
        ),
    ),
    "pooling": (
        (9, 9, 1),
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            Flatten(),
            nn.Linear(4, 3),
        ),
    ),
    "batch norm": (
        (6, 6, 1),
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            Flatten(),
            nn.Linear(64, 5),
            nn.BatchNorm1d(5),
            nn.Linear(5, 3),
        ),
    ),
    "residual": ((6, 6, 4), lambda: nn.Sequential(ResidualBlock(4, 4, 1, "relu"), Flatten(), nn.Linear(144, 3))),
    "residual, halved": ((6, 6, 4), lambda: nn.Sequential(ResidualBlock(4, 8, 2, "silu"), Flatten(), nn.Linear(72, 3))),
    **{
        name: (
            (2, 2, 1),
            lambda make=make: nn.Sequential(Flatten(), nn.Linear(4, 9), make(), nn.Linear(9, 3)),
        )
        for name, make in ACTIVATION_TYPES.items()
        if name != "identity"
    },
}


def loss_of(name: str, logits: Tensor, labels: Tensor) -> Tensor:
    if name == "cross_entropy":
        return F.cross_entropy(logits, labels)
    wanted = F.one_hot(labels, logits.shape[1]).float()
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1).mean()


WAYS = [(loss, plain) for loss in ("cross_entropy", "binary_cross_entropy") for plain in (False, True)]


@pytest.fixture(scope="module")
def computed() -> dict[str, tuple[nn.Sequential, Tensor, Tensor, list[Any]]]:
    """Each case with its network, a batch, and what the engine makes of it in each of `WAYS`; Node starts once."""
    cases = {}
    for case, (shape, make) in CASES.items():
        torch.manual_seed(0)
        network = make().train()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)  # those of new residual blocks are 0, and hide a branch
        cases[case] = network, torch.randn(5, *shape), torch.tensor([0, 1, 2, 1, 0])
    given = [
        {"shape": x.shape[1:], "layers": described(network), "x": numbers(x), "labels": labels.tolist()}
        for network, x, labels in cases.values()
    ]
    made = run_module(
        IMPORTS,
        """given.cases.map((each) => given.ways.map(([loss, plain]) => {
          const network = networkOf(structuredClone(each), { plain });
          const result = new Training(network, { rate: 0.1, loss }).gradients(each.x, each.labels);
          return { ...result, fast: network.memory.fast !== null,
            gradients: network.parameters.map((parameter) => [...parameter.gradient.values]) };
        }))""",
        {"cases": given, "ways": WAYS},
    )
    return {case: (*cases[case], results) for case, results in zip(cases, made, strict=True)}


@pytest.mark.parametrize(
    "way", range(len(WAYS)), ids=[f"{loss}, {'plain' if plain else 'WASM'}" for loss, plain in WAYS]
)
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_pytorch(computed: Any, case: str, way: int) -> None:
    network, x, labels, results = computed[case]
    (loss, plain), made = WAYS[way], results[way]
    network.zero_grad()
    logits = network(x.permute(0, 3, 1, 2))
    value = loss_of(loss, logits, labels)
    value.backward()
    assert made["fast"] is not plain
    assert made["loss"] == pytest.approx(value.item(), rel=1e-5)
    assert made["right"] == int((logits.argmax(1) == labels).sum())
    theirs = gradients(network)
    least = 0.01 * max(float(other.abs().max()) for other in theirs)  # that of a bias before a batch norm is 0
    for ours, other in zip(made["gradients"], theirs, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=0, atol=1e-4 * max(float(other.abs().max()), least))


class Given(nn.Dropout):
    """Dropout that remembers by what it multiplied."""

    def forward(self, x: Tensor) -> Tensor:
        self.mask = super().forward(torch.ones_like(x))
        return x * self.mask


def test_dropout_multiplies_by_the_masks_that_it_is_given() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(Flatten(), Given(0.2), nn.Linear(16, 12), nn.ReLU(), Given(0.5), nn.Linear(12, 3)).train()
    x, labels = torch.randn(6, 4, 4, 1), torch.tensor([0, 1, 2, 1, 0, 2])
    value = F.cross_entropy(network(x.permute(0, 3, 1, 2)), labels)
    value.backward()
    layers = [
        {"type": "dropout", "rate": each.p} if isinstance(each, Given) else described(each)[0] for each in network
    ]
    masks = [numbers(each.mask) for each in network if isinstance(each, Given)]
    made = run_module(
        IMPORTS,
        """(() => {
          const network = networkOf(given);
          const training = new Training(network, { rate: 0.1 });
          const masks = given.masks.map((each) => Float32Array.from(each));
          const { loss } = training.gradients(given.x, given.labels, masks);
          const means = [0, 1].map(() => training.gradients(given.x, given.labels).loss);
          return { loss, means, gradients: network.parameters.map((parameter) => [...parameter.gradient.values]),
            kept: network.chain.layers[1].mask.slice(0, 96) };
        })()""",
        {"shape": [4, 4, 1], "layers": layers, "x": numbers(x), "labels": labels.tolist(), "masks": masks},
    )
    assert made["loss"] == pytest.approx(value.item(), rel=1e-5)
    assert made["means"][0] != made["means"][1], "without masks, each step draws its own"
    assert {round(each, 3) for each in made["kept"].values()} == {0.0, 1.25}


OPTIMIZERS = {
    "adam": Adam(lr=0.003),
    "adamw": AdamW(lr=0.003, weight_decay=0.1),
    "sgd": SGD(lr=0.05, momentum=0.9),
}
NETWORKS = {
    "mlp": MLPSpec(hidden=(24,), activation="tanh"),
    "mlp, batch norm": MLPSpec(hidden=(24,), batch_norm=True),
    "convolutional": ClassicCNNSpec(channels=(4, 8), padding=True, dropout=0.0),
}


class Losses(Callback):
    """The mean loss of each step, and the weights before the first."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.layers: list[dict[str, Any]] = []
        self._before = 0.0

    def at_start(self, state: TrainingState) -> None:
        self.layers = described(state.network)

    def after_step(self, info: StepInfo, state: TrainingState) -> bool:
        total = float(state.totals[0])
        self.losses.append((total - (0.0 if info.step == 1 else self._before)) / 32)
        self._before = total
        return False


@pytest.mark.parametrize(("network", "optimizer"), [*product(NETWORKS, ["adam"]), ("mlp", "adamw"), ("mlp", "sgd")])
def test_a_training_takes_the_course_that_it_takes_in_python(network: str, optimizer: str) -> None:
    images = load("digits").train.images[:320]
    labels = load("digits").train.labels[:320]
    recipe = Recipe(
        network=NETWORKS[network], optimizer=OPTIMIZERS[optimizer], preprocessing="unit_range", batch_size=32,
        epochs=10, l1=1e-5, l2=1e-3, precision="fp32",
    )  # fmt: skip
    seen = Losses()
    fit(recipe, Examples.of(images, labels), classes=10, device="cpu", threads=1, callbacks=[seen])
    order = [epoch_order(320, recipe.seed, epoch).tolist() for epoch in range(10)]
    settings = {"rate": recipe.optimizer.lr, "l1": recipe.l1, "l2": recipe.l2}
    settings |= {"sgd": {"momentum": 0.9}, "adamw": {"weight_decay": 0.1}}.get(optimizer, {})
    made = run_module(
        IMPORTS,
        """given.order.flatMap((order) => Array.from({ length: 10 }, (_, step) => {
          const rows = order.slice(32 * step, 32 * step + 32);
          const x = rows.flatMap((row) => given.images[row].map((pixel) => pixel / 255));
          return training.step(x, rows.map((row) => given.labels[row])).loss;
        }))""".join(["(() => { const training = new Training(networkOf(given), given.settings); return ", "; })()"]),
        {
            "shape": [8, 8, 1],
            "layers": seen.layers,
            "settings": {"optimizer": "sgd" if optimizer == "sgd" else "adam", **settings},
            "images": images.reshape(320, -1).tolist(),
            "labels": labels.tolist(),
            "order": order,
        },
    )
    assert len(made) == len(seen.losses) == 100
    assert made[-1] < 0.5 * made[0], "it learns"
    np.testing.assert_allclose(made, seen.losses, atol=1e-3)


TRAINED = """(() => {
  const bytes = (name) => gunzipSync(readFileSync(`${given}/t10k-${name}-ubyte.gz`));
  const [pixels, labels] = [bytes("images-idx3").subarray(16), bytes("labels-idx1").subarray(8)];
  const relu = { type: "activation", name: "relu" };
  const layers = [
    { type: "convolution", kernel: 3, padding: 1, outputs: 8 }, relu, { type: "maxPool", size: 2 }, { type: "flatten" },
    { type: "dense", outputs: 32 }, { type: "batchNorm" }, relu, { type: "dropout", rate: 0.1 },
    { type: "dense", outputs: 10 },
  ];
  const network = new Network([28, 28, 1], layers, { batch: 50, training: true, seed: 1 });
  const training = new Training(network, { rate: 0.003 });
  const x = (first) => Float32Array.from(pixels.subarray(784 * first, 784 * (first + 50)), (pixel) => pixel / 255);
  for (let first = 0; first < 4000; first += 50) training.step(x(first), labels.subarray(first, first + 50));
  const named = [];
  for (let first = 0; first < 10000; first += 50) {
    const logits = network.forward(x(first), 50);
    for (let image = 0; image < 50; image++) named.push(labelOf(logits.subarray(10 * image, 10 * image + 10)));
  }
  const model = {
    layers: network.described(), shape: [28, 28, 1], classes: [..."0123456789"],
    preprocessing: { mode: "unit_range", mean: [], std: [] },
  };
  const file = savedModel(model, {}, { data: "mnist", created: "2026-11-30", versions: {} });
  const again = new Network([28, 28, 1], readModelFile(file).layers, { batch: 50 });
  const same = [...again.forward(x(0), 50)].every((logit, i) => logit === network.forward(x(0), 50)[i]);
  return { named, same, file: Buffer.from(file).toString("base64") };
})()"""


def test_a_network_of_the_page_gives_its_labels_in_python_on_all_of_mnists_test_images(tmp_path: Path) -> None:
    data = os.environ.get("GLYPHNET_DATA")
    if not data or not Path(data, "mnist", "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip("MNIST is not in $GLYPHNET_DATA")
    imports = """
    import { gunzipSync } from "node:zlib";
    import { Network } from "./pages/js/network.js";
    import { labelOf, Training } from "./pages/js/engine/training.js";
    import { readModelFile, savedModel } from "./pages/js/engine/modelfile.js";
    """
    made = run_module(imports, TRAINED, str(Path(data, "mnist")))
    (tmp_path / "page.safetensors").write_bytes(base64.b64decode(made["file"]))
    classifier = load_model(tmp_path / "page.safetensors")
    test = load("mnist").test
    labels = classifier.predict_labels(test.images)
    assert made["same"], "what was saved is what is opened"
    assert (labels == test.labels).mean() > 0.9, "it has learned"
    assert int((labels == np.array(made["named"])).sum()) == 10_000
