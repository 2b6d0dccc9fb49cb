"""The other side of `measuring.Contestant`: prepares some work, and does it on demand.

    python benchmarks/contestant.py MODULE:FUNCTION OPTIONS

Calls `FUNCTION(**OPTIONS)`, which returns the work. For each line of input, a list of
arguments, the work is done once. Everything is said in lines of JSON; between them the
process sleeps.
"""

import importlib
import json
import sys
import time

from cyclegan_tf._shared.machine import peak_memory


def main() -> None:
    """Import, prepare, work."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what others print is no answer

    def answer(what: object) -> None:
        print(json.dumps(what), file=answers, flush=True)

    module, function = sys.argv[1].split(":")
    prepare = getattr(importlib.import_module(module), function)
    answer("imported")
    work = prepare(**json.loads(sys.argv[2]))
    answer("built")
    for line in sys.stdin:
        start = time.perf_counter()
        result = work(*json.loads(line))
        seconds = time.perf_counter() - start
        answer({"seconds": seconds, "peak_bytes": peak_memory(), "result": result})


if __name__ == "__main__":
    main()
