"""Other Pythons, started, waited for and interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

#: Seconds after which another process counts as hanging: so many that no busy machine comes near them.
PATIENCE = 900

ROOT = Path(__file__).parent.parent

#: A script's start. Ctrl-C is handled as in a terminal, where a job in the background would inherit that
#: it is ignored; neither it nor a child that hangs outlives the test for long.
PRELUDE = f"""
import multiprocessing, os, signal, sys, threading, time
import numpy as np, fastact
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(os, "fork"):
    signal.alarm({PATIENCE})
    os.register_at_fork(after_in_child=lambda: signal.alarm({PATIENCE}))
x = np.linspace(-8, 8, 1_000_000)
expected = 1 / (1 + np.exp(-x))
def right(*_): return bool(np.allclose(fastact.sigmoid(x), expected, rtol=1e-12, atol=0))
def in_child(task):
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if task() else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0
"""


def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
    """Another Python, wherever it runs with this fastact, in more threads than there may be cores."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FASTACT_NUM_THREADS": "4"} | env
    pipe = subprocess.PIPE
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Its exit code and output; one that hangs is killed and fails the test."""
    with process:
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return finish(start("-c", code, **env))


def interrupted(process: subprocess.Popen[str], number: int = signal.SIGINT) -> subprocess.CompletedProcess[str]:
    """Send it Ctrl-C, or another signal, once it has printed that it is ready, and a line when that has been sent."""
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n", finish(process).stderr
    process.send_signal(number)
    process.stdin.write("sent\n")
    process.stdin.flush()
    return finish(process)
