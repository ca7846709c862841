"""Templates of what targets write: files in ``templates`` of a target's package."""

from __future__ import annotations

import jinja2


def environment(package: str) -> jinja2.Environment:
    """Where a target's templates are; a name that a template does not know is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
