"""imgpipe: set up, use and remove a serverless image-analysis pipeline.

The words of this code base, one for each idea:

- project: one pipeline's name; every AWS name is derived from it, the account and the region
- target: the project together with where it lives (account, region and profile, or the local cloud)
- settings: what the user asked of the pipeline (features, privacy, threshold)
- step: one user-visible part of the set-up; it holds resources
- resource: one thing in AWS that is observed, changed and removed on its own
- observed: what one look at a resource found; a snapshot has that of all
- change: one thing to do so that a resource becomes what it should be
- result: the stored outcome of one picture, done or failed
- event: a fact about progress, without wording; only render/ words it
- problem: an expected error with a code, a message and a hint
- check: one thing that doctor looked at, what it saw there, and the fix
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe_cli.pipeline import Pipeline

__all__ = ["Pipeline", "__version__"]
__version__ = "0.2.0"


def __getattr__(name: str) -> type[Pipeline]:
    """The interface for Python, loaded with all that it needs when somebody asks for it."""
    if name != "Pipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from imgpipe_cli.pipeline import Pipeline

    return Pipeline
