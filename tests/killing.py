"""A process that runs `scene` commands in children of its own, and kills them when it is told to.

Everything is imported once, so that a command starts at once. Each line of standard input asks
for a command, each line of standard output says how it ended, both as JSON.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path


def small():
    """Make generated scenes a handful, and let those pass that a model of few steps draws."""
    from inference.experiments import generate
    from scene.datasets.synthetic.dataset import COUNTS

    COUNTS.update(train=12, tune=4, val=4, test=4)
    generate._rejection_reasons = lambda views, *_: [None] * len(views)


PRELOADED = (
    "inference.experiments.generate", "inference.training.session",
    "inference.experiments.tune.search", "inference.experiments.weak.reproduce", "cli.app",
    "lightning_fabric.loggers", "torch.utils.tensorboard",
)  # fmt: skip
"""What children then need not import."""


def serve():
    """Run what is asked for until nobody asks any more."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # or every child looks through all that was imported
    for line in sys.stdin:
        arguments = json.loads(line)
        print(json.dumps(run(**arguments)), flush=True)
    gc.unfreeze()


def run(words, folder, limit, number, file):
    """Run a command in a folder, and send it a signal if it is not done by then.

    The ``limit`` is in seconds; or, if a ``file`` is named, how often that has been written.
    None = no signal comes.
    """
    began, folder = time.monotonic(), Path(folder)
    (folder / "said.txt").touch()  # the command may be killed before it writes
    child = os.fork()
    if not child:
        _command(words, folder)
    ended, writings = 0, set()
    while not ended:
        ended, status = os.waitpid(child, os.WNOHANG)
        if file is not None:
            with contextlib.suppress(OSError):
                writings.add((folder / file).stat().st_mtime_ns)
        passed = time.monotonic() - began if file is None else len(writings)
        if not ended and limit is not None and passed >= limit:
            os.kill(child, number)
            ended, status = os.waitpid(child, 0)
        time.sleep(0.002)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - began,
        "survivors": _survivors(child),
        "said": (folder / "said.txt").read_text(),
    }


def _command(words, folder):
    """Become the command; does not return."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nohup and & ignore some
        signal.signal(number, signal.SIG_DFL)
    os.chdir(folder)
    output = os.open("said.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    status = 70
    try:
        from cli.__main__ import main

        sys.argv = ["scene", *words]
        main()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    gc.unfreeze()
    sys.exit(status)


def _survivors(session, patience=60):
    """List the processes of a session that live on after so many seconds.

    Those that are killed while they start first import what `small` needs.
    """
    deadline = time.monotonic() + patience
    while (alive := _members(session)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _members(session):
    result = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, sid = path.joinpath("stat").read_text().rpartition(") ")[2].split()[:4]
            if int(sid) == session and state != "Z":
                result.append(path.joinpath("cmdline").read_text().replace("\0", " ")[:90])
    return result


if __name__ in ("__main__", "__mp_main__"):  # the latter in processes that a command starts
    small()
if __name__ == "__main__":
    serve()
