"""Programs that run in two processes of one group, as torchrun would start them."""

import os
import socket
import subprocess
import sys

from tests.places import ROOT


def run_in_two(program, *arguments):
    """Runs Python code in two processes; `RANK` and `MASTER_ADDR` are set as torchrun sets them."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    running = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | address | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for one in running:
        _, errors = one.communicate(timeout=300)
        assert one.returncode == 0, errors.decode()[-2000:]


def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
