"""Whether an installed package works, run by its own interpreter from an empty folder."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import linvae as lv
from linvae import storage


def main(source: str) -> None:
    """Import, compute, store, and use the command line; `source` must not be what is imported."""
    assert not Path(lv.__file__).resolve().is_relative_to(Path(source).resolve()), lv.__file__
    assert importlib.metadata.version("linvae") == lv.__version__
    assert importlib.util.find_spec("torch") is None, "the environment is not empty"
    home = Path(lv.__file__).parent
    for name in ("py.typed", "report/page.js", "report/page.css"):
        assert (home / name).is_file(), name
    curve = lv.Frontier(lv.Spectrum.from_eigenvalues([3.0, 1.0]), latent_dim=1, noise_variance=0.5)
    with tempfile.TemporaryDirectory() as folder:
        storage.save(f"{folder}/curve.npz", curve)
        again = storage.load(f"{folder}/curve.npz")
        assert again.at_rate(0.3).beta.tobytes() == curve.at_rate(0.3).beta.tobytes()
        for line in ("--help", "verify digits --latent-dim 4 --beta 2 9", "demo --output demo"):
            command = [sys.executable, "-m", "linvae", *line.split()]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        assert any(Path(folder, "demo").iterdir())
    print("the installed package works")


if __name__ == "__main__":
    main(sys.argv[1])
