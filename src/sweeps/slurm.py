"""What became of SLURM's jobs, also where SLURM keeps no accounts of them."""

import subprocess

from submitit.slurm.slurm import SlurmInfoWatcher

# Of these SLURM does not come back; all others end in one of them.
_FINAL = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("REVOKED", "TIMEOUT"),
)


class JobStates(SlurmInfoWatcher):
    """Asks `sacct` as submitit does, or `squeue` where accounting is off."""

    def __init__(self, delay_s: int = 600) -> None:
        super().__init__(delay_s)
        self._has_accounts: bool | None = None

    def _make_command(self) -> list[str] | None:
        command: list[str] | None = super()._make_command()
        if command is None:
            return None
        if self._has_accounts is None:
            self._has_accounts = has_accounts()
        if self._has_accounts:
            return command
        return ["squeue", "--me", "--states=all", "--array", "--noheader", "--format=%i|%T"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """The state of each job by its number; `ENDED` where SLURM has forgotten it."""
        if self._has_accounts:
            return super().read_info(string)
        text = string if isinstance(string, str) else string.decode()
        states = dict(line.strip().split("|") for line in text.splitlines() if "|" in line)
        return {job: {"State": _simplified(states.get(job))} for job in self._registered}


def has_accounts() -> bool:
    """Whether SLURM stores what became of jobs, so that `sacct` can tell."""
    done = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
    lines = (line.partition("=") for line in done.stdout.splitlines())
    stored = {name.strip(): value.strip() for name, _, value in lines}
    kind = stored.get("AccountingStorageType", "")
    return kind not in ("(null)", "accounting_storage/none")


def _simplified(state: str | None) -> str:
    if state is None:
        return "ENDED"
    return state if state in _FINAL else "RUNNING"
