"""Keras' convolutional example on MNIST, seconds and test accuracy epoch by epoch: started by time_to_accuracy.py."""

from __future__ import annotations

import sys
import time

import keras
from _peers.with_keras import network_of
from _turns import Turns
from _works import WORKS, read


def main() -> None:
    seed, epochs, images = map(int, sys.argv[1:])
    turns = Turns()
    work = WORKS["e"]
    data = read(work, images)
    inputs, test = data.floats(work)
    keras.utils.set_random_seed(seed)
    model = network_of(work, inputs.shape[1:])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    seconds = 0.0
    for _ in range(epochs):
        began = time.perf_counter()
        model.fit(inputs, data.labels, batch_size=work.batch, epochs=1, verbose=0)
        seconds += time.perf_counter() - began
        accuracy = float((model.predict(test, batch_size=1000, verbose=0).argmax(1) == data.test_labels).mean())
        turns.tell(seconds=seconds, accuracy=accuracy)


if __name__ == "__main__":
    main()
