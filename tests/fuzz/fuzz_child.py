"""A process that does the cases whose numbers it is told, one a line, and says how they went."""

import json
import os
import sys
import traceback
from pathlib import Path

import fuzz_cases
import torch

if __name__ == "__main__":
    torch.set_num_threads(1)
    told, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    world = fuzz_cases.World(Path(sys.argv[1]))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in told:
        try:
            fault = fuzz_cases.run(world, int(line))
        except BaseException:
            fault = traceback.format_exc()
        print(json.dumps(fault), file=answers, flush=True)
