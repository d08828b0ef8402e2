"""Installs real Caffe: unpacks Debian 11's `python3-caffe` (CPU) below a folder.

    python -m tfcaffe.oracle.install [--into .pycaffe] [--mirror URL]

No root and no chroot: apt fetches with directories, status file and sources of its own (from the
machine's configuration it takes the proxy only), `dpkg-deb -x` unpacks, and a wrapper script runs
the result with its own loader. The release's signature is checked with Debian's keyring, if the
machine has it; if not, that is said, and the packages are trusted as the mirror sends them.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tfcaffe.errors import ConversionError, RuntimeMissingError

DEFAULT_FOLDER = ".pycaffe"
MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
SUITE = "bullseye"
# Without OpenBLAS apt would take the reference BLAS, which is many times slower.
PACKAGES = ("python3-caffe", "libopenblas0-pthread")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
STAMP = "packages.txt"

# `readlink` makes the wrapper work through a symbolic link, too. Debian chooses the BLAS in a
# maintainer script, which is not run here: hence the folder openblas-pthread.
WRAPPER = """#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
lib=$root/usr/lib/x86_64-linux-gnu
export PYTHONHOME="$root/usr"
export PYTHONPATH="$root/usr/lib/python3/dist-packages${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONNOUSERSITE=1
export GLOG_minloglevel="${GLOG_minloglevel-2}"
exec "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" \\
    --library-path "$lib/openblas-pthread:$lib:$root/lib/x86_64-linux-gnu:$root/usr/lib" \\
    "$root/usr/bin/python3.9" "$@"
"""

APT_CONFIG = """\
Dir::Etc "{apt}/etc";
Dir::Etc::parts "apt.conf.d";
Dir::State "{apt}/state";
Dir::State::status "{apt}/state/status";
Dir::Cache "{apt}/cache";
Dir::Log "{apt}/log";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
Acquire::http::Timeout "60";
Acquire::https::Timeout "60";
{proxy}
"""


def install(into: Path, mirror: str | None = None) -> bool:
    """Installs real Caffe below `into`, whole or not at all; False if it is there already.

    Args:
        into: the folder to create; it holds the interpreter `python` afterwards.
        mirror: a Debian mirror that has bullseye; None tries Debian's own addresses in turn.

    Raises:
        ConversionError: the folder holds something else, or fetching or unpacking failed.
        RuntimeMissingError: the machine lacks apt or dpkg-deb, or is no x86-64 Linux.
    """
    into = into.absolute()
    if (into / STAMP).is_file():
        return False
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ConversionError(f"{into} exists and is no complete Caffe: remove it, then try again")
    _require_tools()
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{into.name}.part-", dir=into.parent) as temporary:
        work = Path(temporary)
        archives = _fetch_from_any([mirror] if mirror else MIRRORS, work)
        complete = work / "complete"
        _unpack(archives, complete)
        _self_check(complete)
        complete.rename(into)
    return True


def _require_tools() -> None:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise RuntimeMissingError(
            "Debian's Caffe runs on x86-64 Linux only: elsewhere set CAFFE_PYTHON to an "
            "interpreter that can `import caffe`"
        )
    missing = [tool for tool in ("apt-get", "apt-config", "dpkg-deb") if not shutil.which(tool)]
    if missing:
        raise RuntimeMissingError(
            f"{', '.join(missing)} not found: install apt and dpkg, or set CAFFE_PYTHON to an "
            "interpreter that can `import caffe`"
        )


def _fetch_from_any(mirrors: Sequence[str], work: Path) -> list[Path]:
    """The first mirror's packages; the next mirror is tried when one fails."""
    failures = []
    for number, mirror in enumerate(mirrors):
        try:
            return _fetch(mirror, work / f"apt{number}")
        except ConversionError as error:
            failures.append(f"{mirror}: {error}")
    raise ConversionError(
        "no mirror gave Debian 11's packages (set DEBIAN_MIRROR to one that does):\n"
        + "\n".join(failures)
    )


def _fetch(mirror: str, apt: Path) -> list[Path]:
    """Downloads the package with all that it needs; returns the .deb files."""
    for folder in (
        "etc/apt.conf.d",
        "etc/preferences.d",
        "etc/sources.list.d",
        "state/lists/partial",
        "cache/archives/partial",
        "log",
    ):
        (apt / folder).mkdir(parents=True)
    # An empty status file: nothing counts as installed, so the C library comes along as well.
    (apt / "state/status").touch()
    config = apt / "apt.conf"
    config.write_text(APT_CONFIG.format(apt=apt, proxy=_machine_proxy()), encoding="utf-8")
    (apt / "etc/sources.list").write_text(
        f"deb [{_trust()}] {mirror} {SUITE} main\n", encoding="utf-8"
    )
    _say(f"fetching {PACKAGES[0]} from {mirror} …")
    environment = {**os.environ, "APT_CONFIG": str(config), "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "-qq", "update"], environment)
    _run(["apt-get", "-qq", "-y", "--download-only", "install", *PACKAGES], environment)
    return sorted((apt / "cache/archives").glob("*.deb"))


def _machine_proxy() -> str:
    settings = _run(["apt-config", "dump"], dict(os.environ)).splitlines()
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy")
    return "\n".join(line for line in settings if line.startswith(wanted))


def _trust() -> str:
    if KEYRING.is_file():
        return f"signed-by={KEYRING}"
    _say(
        f"no {KEYRING} on this machine (package debian-archive-keyring): "
        "the packages' signature is not checked"
    )
    return "trusted=yes"


def _unpack(archives: Sequence[Path], complete: Path) -> None:
    _say(f"unpacking {len(archives)} packages …")
    root = complete / "root"
    root.mkdir(parents=True)
    for archive in archives:
        _run(["dpkg-deb", "-x", str(archive), str(root)], dict(os.environ))
    wrapper = complete / "python"
    wrapper.write_text(WRAPPER, encoding="utf-8")
    wrapper.chmod(0o755)
    names = "".join(f"{archive.name}\n" for archive in archives)
    (complete / STAMP).write_text(names, encoding="utf-8")


def _self_check(complete: Path) -> None:
    command = [str(complete / "python"), "-c", "import caffe; caffe.set_mode_cpu()"]
    _run(command, dict(os.environ))


def _run(command: Sequence[str], environment: dict[str, str]) -> str:
    """Runs a command that cannot ask questions; its output, or an error that quotes it."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise ConversionError(f"`{' '.join(command)}` failed ({done.returncode}): {words}")
    return done.stdout


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tfcaffe.oracle.install",
        description="Unpacks Debian 11's Caffe (CPU) below a folder, without root.",
        epilog="Example: python -m tfcaffe.oracle.install --into .pycaffe",
    )
    parser.add_argument("--into", type=Path, default=Path(DEFAULT_FOLDER), metavar="FOLDER")
    parser.add_argument(
        "--mirror",
        default=os.environ.get("DEBIAN_MIRROR") or None,
        metavar="URL",
        help=f"a Debian mirror (default: DEBIAN_MIRROR, else {' or '.join(MIRRORS)})",
    )
    options = parser.parse_args(arguments)
    try:
        installed = install(options.into, options.mirror)
    except (ConversionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"real Caffe: {options.into / 'python'}" + ("" if installed else " (already there)"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
