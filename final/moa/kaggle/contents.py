"""What of the packed folders is pushed, and which kernels make a submission: `package` writes it, `push` reads it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from moa.errors import UserError, in_words
from moa.files import write_json

_FILE = "push.json"


class Contents(BaseModel):
    """Names of folders below ``datasets`` and ``kernels``, in the order they are pushed.

    Attributes:
        datasets: data sets that the kernels attach.
        training: kernels that train.
        final: kernels that read what is trained: they are run again when that has changed.
        submissions: those among them whose ``submission.csv`` can be submitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    final: tuple[str, ...]
    submissions: tuple[str, ...] = ()

    @property
    def kernels(self) -> tuple[str, ...]:
        """All kernels."""
        return self.training + self.final

    def write(self, folder: Path) -> None:
        """Write them into the packed folder."""
        write_json(folder / _FILE, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> Contents:
        """Those of a packed folder.

        Raises:
            UserError: it was not packed, or by another version of this package.
        """
        path = folder / _FILE
        again = f"write the folder again: moa kaggle package {folder} --user NAME"
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); {again}") from None
        except ValidationError as error:
            raise UserError(f"{path}: {in_words(error)}; {again}") from None
