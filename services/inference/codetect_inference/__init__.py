"""The inference service: models, analyses, results, the worker."""

import os

# ONNX Runtime 1.31 reports its use to its maker once it is imported, unless it is told not to. Nothing leaves here.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
