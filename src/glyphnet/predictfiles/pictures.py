"""What is to be classified, one picture after the other: files, all in folders, the rows of Parquet tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from ..data.dataset import UInt8Array
from ..errors import BadFileError
from .walking import files_in

Content: TypeAlias = str | bytes | UInt8Array | BadFileError
"""Of a picture: the path of its file, the bytes of one, its pixels (see `image_batches`), or why there is none."""

OnBadFile: TypeAlias = Callable[[BadFileError], None]


class Picture(NamedTuple):
    """A picture that waits to be classified.

    Attributes:
        file: what its answer is called: its path, exactly as given or, in a folder, as given with the rest
            appended; or what its row in a table is called.
        place: where it lies: its path, or ``TABLE#ROW``, rows counted from 0.
        content: what there is of it.
    """

    file: str
    place: str
    content: Content


def pictures_in(
    paths: Iterable[str], *, skip: int = 0, on_skipped: Callable[[str], None] | None = None
) -> Iterator[Picture]:
    """The pictures in files, in all files in folders, and in the rows of Parquet tables, in order.

    What cannot be read counts as a picture, whose content is the error. No picture is opened here, and of a table a
    few rows at a time are in memory.

    Args:
        paths: files, folders and tables; in folders tables are read too.
        skip: how many pictures to pass over unread.
        on_skipped: called with the place of each of these.

    Raises:
        DataError: a table is damaged beyond its beginning.
        MissingExtraError: there is a table and no pyarrow.
    """
    tell = on_skipped or (lambda _: None)
    for file in files_in(paths):
        if isinstance(file, str) and file.lower().endswith(".parquet"):
            from .tables import open_table

            table = open_table(file)
            if not isinstance(table, BadFileError):
                passed = min(skip, table.count)
                skip -= passed
                for row in range(passed):
                    tell(table.place(row))
                yield from table.pictures(passed)
                continue
            file = table
        place = file if isinstance(file, str) else file.path
        if skip:
            skip -= 1
            tell(place)
        else:
            yield Picture(place, place, file)


def image_files(paths: Iterable[str], on_bad_file: OnBadFile) -> Iterator[str]:
    """The files in ``paths``, as `files_in` finds them; what cannot be listed is handed to ``on_bad_file``."""
    for file in files_in(paths):
        if isinstance(file, BadFileError):
            on_bad_file(file)
        else:
            yield file
