"""What the output folder of `cyclegan translate-beam` keeps besides its output.

.job/job.json          what the job is, by which the same command finds it again
.job/generator.keras   the generator, for workers that see only this folder
.job/finished/         a note for each TFRecord file that is whole
.job/unfinished/       files that are being written
"""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.beam.files import (
    download,
    exists,
    find,
    publish,
    read_lines,
    remove_files,
    scratch_folder,
)
from cyclegan_tf.beam.options import TranslateBeamConfig
from cyclegan_tf.pretrained.find import Generator
from cyclegan_tf.translation.files import FileTranslator

FORMAT = 1
JOB_FOLDER = ".job"


def job_folder(out: str) -> str:
    """Return the folder of what is not output."""
    return f"{out}/{JOB_FOLDER}"


def unfinished_folder(out: str) -> str:
    """Return the folder of files that are being written."""
    return f"{job_folder(out)}/unfinished"


@dataclasses.dataclass(frozen=True)
class Job:
    """A job that has begun.

    Attributes:
        out: the output folder.
        generator: path of the copy that workers read.
        facts: what decides on the output. An output that is there is that of a job of
            the same facts.
    """

    out: str
    generator: str
    facts: dict[str, Any]

    @classmethod
    def begin(cls, config: TranslateBeamConfig) -> "Job":
        """Begin a job in its output folder, or go on with it.

        Args:
            config: the options, with absolute paths.

        Raises:
            InputError: if the generator cannot be used, or, without `overwrite`, there
                is another job's output in the folder.
        """
        with scratch_folder() as folder:
            local = folder / "generator.keras"
            _fetch_generator(config, local)
            digest = hashlib.sha256(local.read_bytes()).hexdigest()
            job = cls(
                config.out,
                f"{job_folder(config.out)}/generator.keras",
                {
                    "format": FORMAT,
                    "inputs": list(config.inputs),
                    "input_format": config.input_format,
                    "output_format": config.output_format,
                    "shards": config.shards,
                    "tile": config.tile,
                    "generator": digest,
                },
            )
            begun = bool(find(f"{config.out}/**", limit=1))
            if not config.overwrite:
                job._check(begun)
            job._write(overwriting=config.overwrite and begun)
            publish(local, job.generator, unfinished_folder(config.out))
        return job

    def finish(self) -> None:
        """Note that all is written."""
        remove_files(unfinished_folder(self.out))
        self._write(overwriting=False)

    @property
    def _path(self) -> str:
        return f"{job_folder(self.out)}/job.json"

    def _check(self, begun: bool) -> None:
        """Check that what is in the output folder, if anything, is this job's."""
        advice = "choose another --out, or replace what is there with --overwrite."
        if not exists(self._path):
            if begun:
                raise InputError(
                    f"There are files in {self.out} that no cyclegan translate-beam "
                    f"wrote; {advice}"
                )
            return
        content = json.loads("".join(read_lines(self._path)))
        facts = content["facts"]
        others = [name for name in self.facts if facts.get(name) != self.facts[name]]
        if others:
            raise InputError(
                f"{self.out} was begun with other options ({', '.join(others)}); "
                f"{advice}"
            )
        if content["overwriting"]:
            raise InputError(
                f"Not all that was in {self.out} is replaced yet; go on with "
                "--overwrite, or choose another --out."
            )

    def _write(self, overwriting: bool) -> None:
        content = {"facts": self.facts, "overwriting": overwriting}
        with scratch_folder() as folder:
            (folder / "job").write_text(json.dumps(content, indent=2) + "\n")
            publish(folder / "job", self._path, unfinished_folder(self.out))


def _fetch_generator(config: TranslateBeamConfig, local: pathlib.Path) -> None:
    """Copy the generator to this machine, and try whether it can be used."""
    if exists(config.source):
        download(config.source, local)
    try:
        FileTranslator(Generator(None, local), config.tile)
    except InputError as e:
        raise InputError(str(e).replace(str(local), config.source)) from e
