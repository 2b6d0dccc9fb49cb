"""A job's own files in its output folder.

.job/job.json          the facts that identify the job when it continues
.job/generator.keras   the generator, for workers that see only this folder
.job/finished/         a note for each complete TFRecord file
.job/unfinished/       files that are being written, if the folder is not local
.job/.lock             keeps other jobs out of a local folder
"""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import locked, write_json
from cyclegan_tf.beam.files import (
    download,
    exists,
    find,
    is_local,
    publish,
    read_json,
    remove_unfinished,
    scratch_folder,
)
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.pretrained.find import stored_generator
from cyclegan_tf.translation.files import FileTranslator
from cyclegan_tf.translation.scaling import SizeLimit

FORMAT = 1
JOB_FOLDER = ".job"


def job_folder(out: str) -> str:
    """Return the folder of the job's own files."""
    return f"{out}/{JOB_FOLDER}"


def unfinished_folder(out: str) -> str:
    """Return the folder of files that are being written."""
    return f"{job_folder(out)}/unfinished"


@dataclasses.dataclass(frozen=True)
class Job:
    """A job that is running.

    Attributes:
        out: the output folder.
        generator: path of the copy that workers read.
        limit: the size to scale larger images down to.
        facts: everything that determines the output. Only a job of the same facts may
            continue.
    """

    out: str
    generator: str
    limit: SizeLimit
    facts: dict[str, Any]

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, config: TranslateBeamConfig, training_size: int | None
    ) -> Iterator["Job"]:
        """Begin a job in its output folder, or continue it; then mark it as complete.

        Other processes are kept out of a local folder. Nothing keeps them out of a
        remote one.

        Args:
            config: the options, with absolute paths.
            training_size: that of the generator; `None` if only its file may say.

        Yields:
            The job. If the block fails, the job can be continued.

        Raises:
            InputError: if the generator cannot be used, another process has a job in
                the folder, or, without `overwrite`, it has another job's output.
        """
        with scratch_folder() as folder:
            local = folder / "generator.keras"
            if exists(config.source):
                download(config.source, local)
            generator = stored_generator(local)
            if training_size:
                generator = dataclasses.replace(generator, training_size=training_size)
            try:
                limit = FileTranslator(generator, config.size, config.tile).limit
            except InputError as e:
                raise InputError(str(e).replace(str(local), config.source)) from e
            digest = hashlib.sha256(local.read_bytes()).hexdigest()
            job = cls(
                config.out,
                f"{job_folder(config.out)}/generator.keras",
                limit,
                {
                    "format": FORMAT,
                    "inputs": list(config.inputs),
                    "input_format": config.input_format,
                    "output_format": config.output_format,
                    "shards": config.shards,
                    "size": str(limit),
                    "tile": config.tile,
                    "generator": digest,
                },
            )
            # A job that is stopped at once leaves only hidden files, such as its lock.
            begun = bool(find(f"{config.out}/[!.]**", limit=1))
            if not config.overwrite:
                job._check(begun)
            with job._alone():
                job._write(overwriting=config.overwrite and begun)
                publish(local, job.generator, unfinished_folder(config.out))
                yield job
                remove_unfinished(config.out, unfinished_folder(config.out))
                job._write(overwriting=False)

    def _alone(self) -> contextlib.AbstractContextManager[None, bool | None]:
        """Keep other processes out of a local folder."""
        if not is_local(self.out):
            return contextlib.nullcontext()
        folder = pathlib.Path(job_folder(self.out))
        folder.mkdir(parents=True, exist_ok=True)
        return locked(folder, "translating", "out")

    @property
    def _path(self) -> str:
        return f"{job_folder(self.out)}/job.json"

    def _check(self, begun: bool) -> None:
        """Check that the output folder holds no other job's files."""
        advice = "choose another `out`, or replace these files with `overwrite=True`."
        if not exists(self._path):
            if begun:
                raise InputError(
                    f"{self.out} has files that cyclegan translate-beam did not write; "
                    f"{advice}"
                )
            return
        content = read_json(self._path)
        facts = content["facts"]
        others = [name for name in self.facts if facts.get(name) != self.facts[name]]
        if others:
            raise InputError(
                f"{self.out} was begun with other options ({', '.join(others)}); "
                f"{advice}"
            )
        if content["overwriting"]:
            raise InputError(
                f"{self.out} has files that are not replaced yet; continue with "
                "`overwrite=True`, or choose another `out`."
            )

    def _write(self, overwriting: bool) -> None:
        content = {"facts": self.facts, "overwriting": overwriting}
        with scratch_folder() as folder:
            write_json(folder / "job", content)
            publish(folder / "job", self._path, unfinished_folder(self.out))
