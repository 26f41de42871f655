"""One virtual environment for each peer, in .bench/envs, from its pinned requirements.

To move a peer to newer versions, in its folder under `peers`::

    uv pip compile --no-header --no-annotate --no-emit-index-url requirements.in -o requirements.txt
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / "peers"
STATE = REPOSITORY / ".bench"
OURS = "oxidite"
CONTROLS = "controls"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a peer lives; `problem` says why it cannot be used, `None` if it can."""

    peer: str
    root: Path
    problem: str | None = None

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    def versions(self) -> dict[str, str]:
        """Every distribution that is installed, by normalised name."""
        found = {}
        for folder in self.root.glob("lib/python*/site-packages/*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").partition("-")
            found[re.sub(r"[-_.]+", "-", name).lower()] = version
        return found


def peer_names() -> list[str]:
    """Every peer there is a folder for."""
    return sorted(p.parent.name for p in PEERS.glob("*/requirements.txt"))


def site_packages(peer: str) -> Path | None:
    """The folder with the packages of an environment that was made before, if any."""
    return next((STATE / "envs" / peer).glob("lib/python*/site-packages"), None)


def prepare(peer: str, folder: Path = PEERS, *, prefix: str = "") -> Environment:
    """Make the environment of a peer, or find it made from the same requirements before."""
    root = STATE / "envs" / f"{prefix}{peer}"
    requirements = folder / peer / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = root / "made-from"
    if stamp.is_file() and stamp.read_text() == wanted:
        return Environment(peer, root)
    shutil.rmtree(root, ignore_errors=True)
    print(f"installing {peer} …", file=sys.stderr, flush=True)
    problem = _install(peer, root, requirements)
    if problem is None:
        stamp.write_text(wanted)
    return Environment(peer, root, problem)


def _install(peer: str, root: Path, requirements: Path) -> str | None:
    uv = _uv()
    install = [uv, "pip", "install", "--quiet", "--python", str(root / "bin" / "python")]
    steps = [
        [uv, "venv", "--quiet", "--python", sys.executable, str(root)],
        [*install, "--requirements", str(requirements)],
    ]
    if peer == OURS:
        steps.append([*install, "--no-deps", "--editable", str(REPOSITORY)])
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return "installing it took longer than 300 s"
        if done.returncode != 0:
            # The installer's own words, without where it was installed.
            words = " ".join(done.stderr.replace(str(REPOSITORY), ".").split())
            return f"does not install: {words[:300]}"
    return None


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise SystemExit("uv is needed to make the peers' environments; `make setup` installs it")
    return found
