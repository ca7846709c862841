"""One tree of errors. Each says what is wrong, where, and what to do about it, in one line.

The command line turns every :class:`LeanspikeError` into that line and exit code 2.
"""

from __future__ import annotations


class LeanspikeError(Exception):
    """Base of every error a user can cause or mend.

    Args:
        what: what is wrong, as a full clause.
        where: the file, key or argument it concerns; ``None`` where ``what`` already names it.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, None if where is None else str(where), remedy
        super().__init__(self.line())

    def line(self) -> str:
        """The error as one line: ``where: what; remedy``. Control characters of foreign files are escaped."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        line = " ".join((f"{head}; {self.remedy}" if self.remedy else head).split())
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class ConfigError(LeanspikeError):
    """A configuration key or value that is unknown, of the wrong type or out of range."""


class Diverged(ConfigError):
    """A training whose loss is no number any more."""


class DataError(LeanspikeError):
    """A data set that is unknown, missing, damaged or of an unexpected shape."""


class EncodingError(LeanspikeError):
    """Values that an encoder cannot turn into spikes."""


class CheckpointError(LeanspikeError):
    """A checkpoint or run folder that is damaged, foreign or of another configuration."""


class OutputError(LeanspikeError):
    """An output folder or file that cannot be written."""


class StudyError(LeanspikeError):
    """A study whose storage, grid or earlier trials do not fit what was asked."""


class ProgramError(LeanspikeError):
    """A program, or a file that should hold one, that is damaged, foreign, or breaks a rule."""


class LoweringError(LeanspikeError):
    """A network that cannot become a program, or a step of lowering whose check failed."""


class ModelImportError(LeanspikeError):
    """A model of another framework with a layer or a semantic that a network here cannot express."""


class TargetError(LeanspikeError):
    """A program that a target cannot express, or an artefact that does not do what the program says."""


class MissingTool(LeanspikeError):
    """An optional package or outside program that is not installed."""
