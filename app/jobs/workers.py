"""Workers: the threads of this process that work on jobs."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from app.jobs.jobs import Job
from app.jobs.working import work_on
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.library import Library

LOG = logging.getLogger(__name__)


class Workers:
    """One thread a job."""

    def __init__(self) -> None:
        self._tokens: dict[threading.Thread, CancelToken] = {}

    def start(self, library: Library, job: Job) -> None:
        """Work on a job from where it stands."""
        token = CancelToken()

        def work() -> None:
            try:
                work_on(library, job, token=token)
            except Exception as error:  # the job's row says so too
                LOG.info("job %d: %s", job.id, error)
            finally:
                self._tokens.pop(thread, None)

        thread = threading.Thread(target=work, name=f"job-{job.id}", daemon=True)
        self._tokens[thread] = token
        thread.start()

    def stop(self) -> None:
        """Stop them all; their jobs can be resumed."""
        for thread, token in list(self._tokens.items()):
            token.cancel()
            thread.join()
