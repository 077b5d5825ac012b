"""Takes out of the image's environment what a service never loads; the Dockerfile runs it while it builds.

    python lighten_environment.py .venv/lib/python3.11/site-packages

Owns the list of what is left out and why. A service in the image answers, explains, and follows the registry without
any of it, which `python -m benchmarks.containers` shows; on a machine of one's own nothing is taken out.
"""

import shutil
import struct
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

# Whole packages: mlflow-skinny asks for them, and imports them for what a service of PenPress does not do.
LEFT_OUT = {
    "databricks-sdk": "stores at Databricks",
    "google-auth": "the same, as are the next two",
    "pyasn1": "",
    "pyasn1-modules": "",
    "gitpython": "the commit of a training run",
    "gitdb": "the same",
    "smmap": "the same",
}
# Parts of packages, as patterns below site-packages.
PARTS = {
    "PIL/_avif*": "a format that is not read here; Pillow does without",
    "pillow.libs/libavif*": "the same",
    "alembic/testing": "tests of programs that use it",
    "mlflow/assistant": "for MLflow's own browser interface",
    "mlflow/server": "the same",
    "onnxruntime/capi/libonnxruntime.so*": "for programs in C; Python's module holds all of it a second time",
    "onnxruntime/quantization": "makes 8-bit models",
    "onnxruntime/tools": "converts models",
    "onnxruntime/transformers": "converts models",
    "numpy/distutils": "builds packages",
    "numpy/f2py": "builds packages",
    "numpy/random": "nothing in a service draws by chance",
    "sqlalchemy/testing": "tests of programs that use it",
    "**/tests": "tests of the packages themselves",
    "**/*.a": "for compilers, as are the next four",
    "**/*.c": "",
    "**/*.h": "",
    "**/*.pxd": "",
    "**/*.pyx": "",
    "**/*.pyi": "for type checkers",
}


def lighten(packages: Path) -> None:
    """Remove all of the above from a folder of packages; raises LookupError where something is not there."""
    found = {each.name.lower().replace("_", "-"): each for each in distributions(path=[str(packages)])}
    for name in LEFT_OUT:
        remove(found[name])
    for pattern in PARTS:
        remove_parts(packages, pattern)
    for library in packages.rglob("*.so*"):
        drop_symbols(library)


def remove(distribution: Distribution) -> None:
    """Remove a package's files, its own description included."""
    for file in distribution.files or []:
        Path(str(distribution.locate_file(file))).unlink(missing_ok=True)


def remove_parts(packages: Path, pattern: str) -> None:
    """Remove files and folders that match; raises LookupError when none does, so that the list stays true."""
    parts = sorted(packages.glob(pattern))
    if not parts:
        message = f"nothing matches {pattern!r} in {packages}; take it off the list in {__file__}"
        raise LookupError(message)
    for part in parts:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def drop_symbols(library: Path) -> None:
    """Cut off what stands behind the last part of a library that is ever loaded: names and lines for debuggers.

    `strip` does the same and somewhat more, but slim images do not have it, and not every build reaches Debian.
    Source: the layout of ELF files of 64 bits, lowest byte first (x86-64 and ARM); others are left as they are.
    """
    data = bytearray(library.read_bytes())
    if data[:6] != b"\x7fELF\x02\x01":
        return
    (table,) = struct.unpack_from("<Q", data, 32)  # where the program headers begin
    size, count = struct.unpack_from("<HH", data, 54)  # of one of them, and how many there are
    ends = [sum(struct.unpack_from("<Q16xQ", data, table + number * size + 8)) for number in range(count)]
    struct.pack_into("<Q", data, 40, 0)  # no section headers: they describe what is cut off
    struct.pack_into("<HH", data, 60, 0, 0)
    library.write_bytes(data[: max(ends)])


def megabytes(folder: Path) -> float:
    """The size of all files in a folder, in millions of bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    """Lighten the folder that the command line names, and say how much that took."""
    packages = Path(sys.argv[1])
    before = megabytes(packages)
    lighten(packages)
    sys.stdout.write(f"{packages}: {before:.0f} MB, now {megabytes(packages):.0f} MB\n")


if __name__ == "__main__":
    main()
