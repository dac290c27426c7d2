"""Name the class of images with an exported model: python run_onnx.py model.onnx IMAGE... (no GlyphNet is needed)."""

import json
import os
import sys

import numpy as np
from PIL import Image

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reports each use to its maker otherwise
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
classes, limit, least = about["classes"], about.get("foreign_threshold"), about["threshold"]
outputs = [output.name for output in session.get_outputs()]
_, height, width, channels = session.get_inputs()[0].shape
for path in sys.argv[2:]:
    image = Image.open(path).convert("L" if channels == 1 else "RGB").resize((width, height))
    pixels = np.asarray(image, dtype=np.uint8).reshape(1, height, width, channels)
    found = dict(zip(outputs, session.run(outputs, {"images": pixels}), strict=True))
    [probabilities], [label], reason = found["probabilities"], found["labels"], ""
    if least is not None and probabilities[label] < least:
        reason = "low_confidence"
    if limit is not None and "foreign" in found and found["foreign"][0] > limit:
        reason = "unlike_training"
    print(path, classes[label], f"{probabilities[label]:.4f}", reason, sep=",")
