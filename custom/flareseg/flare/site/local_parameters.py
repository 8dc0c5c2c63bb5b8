"""A site's own values of the parameters that never leave it, found again after a restart and by a resumed job."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.files import hold
from flareseg.networks.state import State
from flareseg.record.model_file import load_model, save_model, to_numpy

LOCAL_PARAMETERS = "local_parameters"
_PATIENCE_SECONDS = 60.0
"""How long the site waits for its process of the job that was resumed: it ends some seconds after the job does."""


class LocalParameters:
    """What a site had after each of the last two rounds that it trained, in one file for each run.

    Two, because a server that dies may not have kept the round that the site trained last: it is then run again, from
    what the site had before it. Two jobs that resume the same run would write over each other's: the run is held by one
    process at a time.

    Args:
        workspace: the site's workspace, which outlives the job's run folder.
        run_id: id of the run's first job, as the server says it.

    Raises:
        FlaresegError: the run is not named by a job id, another job of it is at work here, or its file is damaged.
    """

    def __init__(self, workspace: Path, run_id: Any) -> None:
        try:
            name = str(UUID(run_id))
        except (ValueError, TypeError, AttributeError):
            raise FlaresegError(
                "The server did not say which run this is.",
                "Run the same bundle on server and site.",
                code=ErrorCode.TASK_MISMATCH,
            ) from None
        self._file = workspace / LOCAL_PARAMETERS / f"{name}.pt"
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            self._lock = hold(self._file.with_suffix(".lock"), _PATIENCE_SECONDS)
        except BlockingIOError as error:
            raise FlaresegError(
                f"{error.filename}: another job of the run {name} is at work at this site ({error.strerror}).",
                "Wait for its end, or abort it; then resume again.",
                code=ErrorCode.RUN_IN_USE,
            ) from None
        self._rounds: list[int] = []
        self._states: list[State] = []
        self._forgot = False
        if self._file.is_file():
            content, about = load_model(self._file)
            try:
                self._rounds, self._forgot = [int(number) for number in about["rounds"]], bool(about["forgot"])
            except (KeyError, TypeError, ValueError):
                raise FlaresegError(
                    f"{self._file}: holds no local parameters.",
                    "Delete the file to start from the global values.",
                    code=ErrorCode.BAD_MODEL,
                ) from None
            for number in self._rounds:
                prefix = f"{number}/"
                own = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
                self._states.append(own)

    def before(self, round_number: int) -> State:
        """What the site had when the round began: empty for a site that had not trained yet.

        Raises:
            FlaresegError: only later rounds are known; with them the run would not be the one that it goes on from.
        """
        for number, state in zip(reversed(self._rounds), reversed(self._states), strict=True):
            if number < round_number:
                return state
        if self._forgot:
            raise FlaresegError(
                f"{self._file}: holds the local parameters of rounds {self._rounds} only, asked is round "
                f"{round_number}.",
                "Delete the file to start from the global values, or submit the job anew.",
                code=ErrorCode.BAD_MODEL,
            )
        return {}

    def keep(self, round_number: int, state: State) -> None:
        """Keep what the site has after a round, and what it had before it."""
        earlier = [index for index, number in enumerate(self._rounds) if number < round_number]
        self._forgot = self._forgot or len(earlier) > 1
        self._states = [self._states[index] for index in earlier[-1:]] + [state]
        self._rounds = [self._rounds[index] for index in earlier[-1:]] + [round_number]
        content = {
            f"{number}/{name}": value
            for number, own in zip(self._rounds, self._states, strict=True)
            for name, value in to_numpy(own).items()
        }
        save_model(self._file, content, {"rounds": self._rounds, "forgot": self._forgot})
