"""Files as responses: conditions, ranges, names of downloads; sent by the server where it can."""

from oxidite.http.conditional import Validators
from oxidite.http.files.file import StoredFile
from oxidite.http.files.ranges import RangeNotSatisfiableError
from oxidite.http.files.reader import FileChangedError
from oxidite.http.files.response import FileResponse

__all__ = [
    "FileChangedError",
    "FileResponse",
    "RangeNotSatisfiableError",
    "StoredFile",
    "Validators",
]
