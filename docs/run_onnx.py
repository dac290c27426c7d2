"""Name the class of images with an exported model: python run_onnx.py model.onnx IMAGE... (no GlyphNet is needed)."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
_, height, width, channels = session.get_inputs()[0].shape
for path in sys.argv[2:]:
    image = Image.open(path).convert("L" if channels == 1 else "RGB").resize((width, height))
    pixels = np.asarray(image, dtype=np.uint8).reshape(1, height, width, channels)
    [probabilities], [label] = session.run(["probabilities", "labels"], {"images": pixels})
    print(path, classes[label], f"{probabilities[label]:.4f}", sep=",")
