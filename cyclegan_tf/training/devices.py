"""The hardware of a training: strategy, worker processes, precision.

Each worker runs the same program with the same options. Only the chief writes the run
folder; the others read it.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, WorkerLostError
from cyclegan_tf._shared.files import parse_json
from cyclegan_tf._shared.machine import processor_flags
from cyclegan_tf.config.options import OptimizationConfig, Precision

_LOG = logging.getLogger(__name__)

# Collectives raise these when another process ended or cannot be reached.
_LOST_WORKER_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Workers:
    """The processes that train under one `tf.distribute` strategy; often just one.

    Args:
        strategy: the strategy.

    Attributes:
        is_chief: whether this process writes the run folder.
        count: int. Number of processes.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.is_chief = True
        self.count = 1
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            index, self.count = _read_tf_config(os.environ)
            self.is_chief = index == 0
        self._sum = tf.function(
            lambda values: self.strategy.reduce("SUM", values, axis=None)
        )

    def total(self, value: int) -> int:
        """Return the sum of all workers' values; waits for all workers to call this."""
        if self.count == 1:
            return value
        values = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(_first_on_its_worker(context, value), tf.int64)
        )
        return int(self._sum(values))

    def any(self, vote: bool) -> bool:
        """Return whether any worker votes yes; waits for all workers."""
        return self.total(int(vote)) > 0

    def from_chief(self, value: int) -> int:
        """Return the chief's value; waits for all workers."""
        return self.total(value if self.is_chief else 0)

    @contextlib.contextmanager
    def reporting_lost_workers(self, run_dir: Any) -> Iterator[None]:
        """Report failing collectives in this block as a lost worker.

        Raises:
            WorkerLostError: if another worker ended or cannot be reached.
        """
        try:
            yield
        except _LOST_WORKER_ERRORS as e:
            if self.count == 1:
                raise
            raise WorkerLostError(
                f"Another worker has ended or cannot be reached ({_reason(e)}); see "
                "its messages for why, and start all workers again with "
                f"`resume={run_dir}`."
            ) from e


def connect_workers() -> tf.distribute.Strategy:
    """Connect this process to the others that `TF_CONFIG` names, and wait for them.

    Returns:
        The strategy over all devices of all workers; a single worker mirrors over its
        own devices.

    Raises:
        InputError: if `TF_CONFIG` is missing or malformed, or TensorFlow has already
            computed something.
        WorkerLostError: if the others do not start.
    """
    _, count = _read_tf_config(os.environ)
    if count == 1:
        return tf.distribute.MirroredStrategy()
    _LOG.info("Waiting until all %d workers have started.", count)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as e:
        raise InputError(
            "Workers must connect before TensorFlow computes anything in their process "
            f"({e}); start the training first."
        ) from e
    except tf.errors.OpError as e:
        raise WorkerLostError(
            f"The workers could not connect ({_reason(e)}); check that the addresses "
            "in TF_CONFIG are right, free and reachable, and start all workers again."
        ) from e


def _read_tf_config(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return the index of this worker, 0 for the chief, and how many there are."""
    text = environment.get("TF_CONFIG", "")
    if not text:
        raise InputError(
            "`strategy=multi-worker` needs the environment variable TF_CONFIG, which "
            "names all workers; docs/distributed.md shows how to set it."
        )
    try:
        content = parse_json(text)
        cluster, task = content["cluster"], content["task"]
        jobs = {job: list(cluster[job]) for job in cluster}
        job, index = task["type"], int(task["index"])
        address = jobs[job][index]
        valid = index >= 0 and jobs.keys() <= {"chief", "worker"}
        valid = valid and all(":" in item for items in jobs.values() for item in items)
        valid = valid and ":" in address and len(jobs.get("chief", [""])) == 1
    except (ValueError, KeyError, IndexError, TypeError):
        valid = False
    if not valid:
        raise InputError(
            'TF_CONFIG must be like {"cluster": {"worker": ["HOST:PORT", ...]}, '
            '"task": {"type": "worker", "index": 0}}, with jobs named worker or chief, '
            f"but it is {text!r}; see docs/distributed.md."
        )
    chiefs = len(jobs.get("chief", []))
    count = chiefs + len(jobs.get("worker", []))
    return index if job == "chief" else chiefs + index, count


def _first_on_its_worker(context: Any, value: int) -> int:
    """Return the value on the first replica of each worker, 0 on the others."""
    replicas = context.num_replicas_in_sync // _read_tf_config(os.environ)[1]
    return 0 if context.replica_id_in_sync_group % replicas else value


def _reason(error: tf.errors.OpError) -> str:
    """Return the readable part of TensorFlow's message."""
    text = str(error.message).rpartition("Collective ops is aborted by:")[2]
    return " ".join(text.split())[:200]


def choose_strategy(options: OptimizationConfig) -> tf.distribute.Strategy:
    """Return the `tf.distribute` strategy of a training.

    Raises:
        InputError: if an option does not work with the strategy, the batch cannot be
            split over the devices, or `TF_CONFIG` does not describe the workers.
        WorkerLostError: if the other workers do not start.
    """
    if options.strategy == "single":
        return tf.distribute.get_strategy()
    # Keras accumulates in a conditional branch, where replicas cannot synchronize, not
    # even a single one.
    if options.accumulate > 1:
        raise InputError(
            f"`accumulate={options.accumulate}` does not work with "
            f"`strategy={options.strategy}`; leave it out, or use `strategy=single`."
        )
    if options.strategy == "mirrored":
        strategy = tf.distribute.MirroredStrategy()
    else:
        strategy = connect_workers()
    replicas = strategy.num_replicas_in_sync
    if options.batch_size % replicas:
        raise InputError(
            f"A batch of {options.batch_size} cannot be split over {replicas} devices; "
            f"make `batch_size` a multiple of {replicas}."
        )
    return strategy


# Units of processors that multiply bfloat16 at least twice as fast as float32.
_PROCESSOR_UNITS = {"avx512_bf16", "amx_bf16"}

# The first NVIDIA GPUs with such units (Ampere).
_COMPUTE_CAPABILITY = (8, 0)


def fastest_precision() -> Precision:
    """Return `"mixed_bfloat16"` if the hardware multiplies it, else `"float32"`.

    Processors with AVX-512 BF16 or AMX (known on Linux only) and NVIDIA GPUs of compute
    capability 8.0 or higher do. Elsewhere bfloat16 is emulated, slower than float32.
    Unlike float16, bfloat16 has the range of float32 and needs no loss scaling.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        fast = all(
            tf.config.experimental.get_device_details(gpu).get(
                "compute_capability", (0, 0)
            )
            >= _COMPUTE_CAPABILITY
            for gpu in gpus
        )
    else:
        fast = bool(processor_flags() & _PROCESSOR_UNITS)
    return "mixed_bfloat16" if fast else "float32"
