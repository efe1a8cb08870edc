"""A SLURM of one machine: the commands that a job meets, each a few lines of Python in PATH."""

import os
import sys
from pathlib import Path

# What srun says to the one task of a job.
TASK = {
    "SLURM_JOB_ID": "1000",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "1",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_NNODES": "1",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}

# Runs each task of an array at once, and again for as long as `scontrol requeue` asks for it.
_SBATCH = """
import os, re, subprocess, sys
script = open(sys.argv[1]).read()
open(f"{state}/script", "w").write(script)
last = int(re.search(r"--array=0-(\\d+)", script)[1])
print("Submitted batch job 1000", flush=True)
if os.fork():
    sys.exit()
log = os.open(f"{state}/log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(log, 1), os.dup2(log, 2)  # whoever called sbatch waits for its output to end
for task in range(last + 1):
    if os.fork() == 0:
        name = f"1000_{task}"
        variables = TASK | {
            "SLURM_JOB_ID": str(1001 + task),
            "SLURM_ARRAY_JOB_ID": "1000",
            "SLURM_ARRAY_TASK_ID": str(task),
        }
        again, count = True, 0
        while again:
            own = os.environ | variables | {"SLURM_RESTART_COUNT": str(count)}
            subprocess.run(["bash", sys.argv[1]], env=own)
            again, count = os.path.exists(f"{state}/{name}"), count + 1
            if again:
                os.remove(f"{state}/{name}")
        os._exit(0)
"""
_SRUN = """
import os, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    words = words[2:] if words[0] in ("--output", "--error") else words[1:]
os.execvp(words[0], words)
"""
_SCONTROL = """
import sys
assert sys.argv[1] == "requeue"
open(f"{state}/{sys.argv[2]}", "w").close()
open(f"{state}/requeued", "a").write(sys.argv[2] + "\\n")
"""
_SACCT = 'print("JobID|State|NodeList")'


def install(folder: Path) -> dict[str, str]:
    """Write the commands below `folder`; return the environment that finds them.

    `folder/requeued` lists the jobs that were requeued, `folder/script` is what sbatch was given.
    """
    programs = {"sbatch": _SBATCH, "srun": _SRUN, "scontrol": _SCONTROL, "sacct": _SACCT}
    (folder / "bin").mkdir(parents=True)
    for name, code in programs.items():
        path = folder / "bin" / name
        path.write_text(f"#!{sys.executable}\nstate, TASK = {str(folder)!r}, {TASK}\n{code}")
        path.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
