"""What a training runs on: its strategy, its worker processes, its precision.

Each worker runs the same program on the same options. What only one of them should do,
the chief does: it writes the run folder. The others read it.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError, WorkerLostError
from cyclegan_tf._shared.machine import processor_flags
from cyclegan_tf.config.options import OptimizationConfig

_LOG = logging.getLogger(__name__)

# What collectives raise when another process ended or cannot be reached.
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Workers:
    """The processes that train under one `tf.distribute` strategy; often only this one.

    Args:
        strategy: the strategy. Defaults to that of a single device.

    Attributes:
        strategy: the same.
        is_chief: whether this process is the one that writes.
        count: int. How many processes there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None):
        self.strategy = strategy or tf.distribute.get_strategy()
        self.is_chief = True
        self.count = 1
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            index, self.count = _read_tf_config(os.environ)
            self.is_chief = index == 0
        self._sum = tf.function(
            lambda values: self.strategy.reduce("SUM", values, axis=None)
        )

    def total(self, value: int) -> int:
        """Return the sum of what all workers call this with, once each has done so."""
        if self.count == 1:
            return value
        values = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(_first_on_its_worker(context, value), tf.int64)
        )
        return int(self._sum(values))

    def any(self, vote: bool) -> bool:
        """Return whether any worker votes so; all must ask at the same point."""
        return self.total(int(vote)) > 0

    def from_chief(self, value: int) -> int:
        """Return the chief's value, once all workers have asked for it."""
        return self.total(value if self.is_chief else 0)

    @contextlib.contextmanager
    def reporting_losses(self, run_dir: Any) -> Iterator[None]:
        """Say what it means when the collectives of this block fail.

        Args:
            run_dir: the run folder, to name in the message.

        Raises:
            WorkerLostError: if another worker ended or cannot be reached.
        """
        try:
            yield
        except _LOSSES as e:
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
        The strategy over all devices of all workers; where there is only one worker,
        that over its own devices.

    Raises:
        InputError: if `TF_CONFIG` is missing or malformed, or TensorFlow has computed
            something before.
        WorkerLostError: if the others do not come.
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
            f"({e}); begin with the training."
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
        content = json.loads(text)
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
    """The value on one replica of each worker, 0 on the others."""
    replicas = context.num_replicas_in_sync // _read_tf_config(os.environ)[1]
    return 0 if context.replica_id_in_sync_group % replicas else value


def _reason(error: tf.errors.OpError) -> str:
    """The part of TensorFlow's message that a person can read."""
    text = str(error.message).rpartition("Collective ops is aborted by:")[2]
    return " ".join(text.split())[:200]


def choose_strategy(options: OptimizationConfig) -> tf.distribute.Strategy:
    """Return the `tf.distribute` strategy of a configuration.

    Args:
        options: the options of the training.

    Raises:
        InputError: if an option does not work with the strategy, the batch cannot be
            split over the devices, or the workers are not described as they should be.
        WorkerLostError: if the other workers do not come.
    """
    if options.strategy == "single":
        return tf.distribute.get_strategy()
    # Keras accumulates in a branch, where replicas cannot meet, even if there is only
    # one; XLA compiles for one device.
    for option, wanted in {
        f"`accumulate={options.accumulate}`": options.accumulate > 1,
        "`jit_compile=True`": options.jit_compile,
    }.items():
        if wanted:
            raise InputError(
                f"{option} does not work with `strategy={options.strategy}`; leave it "
                "out, or use `strategy=single`."
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


Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


# Units of a processor that multiply bfloat16 twice as fast as float32 or faster.
_PROCESSOR_UNITS = {"avx512_bf16", "amx_bf16"}


# The first GPUs of NVIDIA with such units (Ampere).
_COMPUTE_CAPABILITY = (8, 0)


def fastest_precision() -> Precision:
    """Return `"mixed_bfloat16"` where the hardware multiplies it, else `"float32"`.

    That is on a processor with AVX-512 BF16 or AMX, where Linux names its flags, and
    on GPUs of NVIDIA from compute capability 8.0. Elsewhere bfloat16 is emulated,
    slower than float32. bfloat16 has the range of float32, so that, unlike float16, it
    needs no loss scaling.
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
