"""Finding the files of a data set where the user says they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from deep.data.files import refuse

__all__ = ["find_any", "find_optional"]


def find_any(name: str, path: str, names: Sequence[str], *, also: Sequence[str] = ()) -> Path:
    """Find the first of several files or folders of a data set.

    Parameters
    ----------
    name : str
        Of the data set.
    path : str
        The folder that holds it, the folder above one named `name`, or one of the files.
    names : sequence of str
        What to look for, in order. A name may be a path of its own, with "/".
    also : sequence of str
        Files by which the user may name the folder as well.

    Raises
    ------
    DataError
        A path that does not exist, another file, a folder that holds none of them.
    """
    found = find_optional(name, path, names, also=also)
    if found is None:
        refuse(f"{path!r} without {', '.join(names)}", "a folder with one of them",
               "complete the folder, or name another", "data.path")  # fmt: skip
    return found


def find_optional(
    name: str, path: str, names: Sequence[str], *, also: Sequence[str] = ()
) -> Path | None:
    """As :func:`find_any`; None when the folder holds none of them."""
    given = Path(os.path.expanduser(path))
    if os.path.isfile(given):
        if given.name in names:
            return given
        if given.name not in also:
            refuse(f"{path!r}", f"a folder, or a file named {' or '.join([*names, *also])}",
                   "name the folder that holds the files", "data.path")  # fmt: skip
        given = given.parent
    if not os.path.isdir(given):
        refuse(f"{path!r}, which does not exist or may not be read", f"the files of {name}",
               "check the path and its permissions", "data.path")  # fmt: skip
    if given.name in names:  # a folder that is itself one of them
        return given
    places = [folder / wanted for folder in (given, given / name) for wanted in names]
    return next((place for place in places if os.path.exists(place)), None)
