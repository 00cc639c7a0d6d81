"""A process of ours while nobody asks anything of it, and when it is told to end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from codetect_local.ports import free_block
from codetect_shared.serving import TICK_S

PROGRAM = """
import sys
from types import SimpleNamespace
from codetect_shared import serving
from fastapi import FastAPI
serving.TICK_S = float(sys.argv[2])
serving.serve(FastAPI(), SimpleNamespace(host="127.0.0.1", port=int(sys.argv[1])))
"""


@pytest.fixture
def port() -> int:
    return free_block()


@pytest.fixture
def tick_s() -> float:
    return TICK_S


@pytest.fixture
def process(port: int, tick_s: float) -> Iterator[psutil.Popen]:
    process = psutil.Popen([sys.executable, "-c", PROGRAM, str(port), str(tick_s)])
    for _ in range(200):
        try:
            httpx.get(f"http://127.0.0.1:{port}/")
            break
        except httpx.ConnectError:
            time.sleep(0.1)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_it_sleeps_while_nobody_asks(process: psutil.Popen) -> None:
    before = process.num_ctx_switches().voluntary
    time.sleep(3)
    assert process.num_ctx_switches().voluntary - before < 15  # uvicorn alone: 30


@pytest.mark.parametrize("tick_s", [60])
def test_it_ends_as_soon_as_it_is_told(process: psutil.Popen) -> None:
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM


def test_its_answers_bear_the_time(process: psutil.Popen, port: int) -> None:
    first = httpx.get(f"http://127.0.0.1:{port}/").headers["date"]
    time.sleep(2.1)
    assert httpx.get(f"http://127.0.0.1:{port}/").headers["date"] != first


def test_a_port_that_is_taken_is_a_failure(process: psutil.Popen, port: int) -> None:
    second = subprocess.run([sys.executable, "-c", PROGRAM, str(port), "1"], timeout=30, check=False)
    assert second.returncode == 3
