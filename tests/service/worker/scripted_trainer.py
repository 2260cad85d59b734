"""Substitute for `python -m grpo` that misbehaves on cue.

`run SPEC --out DIR [--resume-from FOLDER] --lifeline-fd N`, as the real one; the spec's label
`script` says what it does, word by word.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Script:
    """Actions by name."""

    def __init__(self, spec: Path, folder: Path, step: int, *, allow_python: bool) -> None:
        self.spec = spec
        self.folder = folder
        self.step = step
        self.allow_python = allow_python
        self.n = 0

    def append(self, kind: str, payload: dict[str, Any]) -> None:
        self.n += 1
        at = datetime.now(UTC).isoformat()
        record = {"n": self.n, "kind": kind, "step": self.step, "at": at, "payload": payload}
        with (self.folder / "records.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def step_(self) -> None:
        self.step += 1
        self.append("metric", {"reward": 0.5})

    def save(self, *, final: bool = False) -> None:
        folder = self.folder / "checkpoints" / f"step-{self.step:06d}"
        folder.mkdir(parents=True)
        weights = f"weights after step {self.step}".encode()
        (folder / "model.safetensors").write_bytes(weights)
        sha256 = hashlib.sha256(weights).hexdigest()
        file = {"path": "model.safetensors", "bytes": len(weights), "sha256": sha256}
        manifest = {"format": 1, "step": self.step, "files": [file]}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        self.append("checkpoint", {"path": str(folder.relative_to(self.folder)), "final": final})

    def complete(self) -> None:
        self.save(final=True)
        self.end("completed")

    def end(self, outcome: str, error: dict[str, Any] | None = None) -> None:
        self.append("end", {"outcome": outcome, "error": error})
        sys.exit(1 if error else 0)

    def fail(self) -> None:
        hint = "Mend it."
        self.end(
            "failed", {"code": "bad_data", "message": "it is", "hint": hint, "retryable": False}
        )

    def no_gpu(self) -> None:
        """End like the real one with a GPU that torch cannot use."""
        assert json.loads(self.spec.read_text())["resources"]["gpus"] == 1
        error = {"code": "gpu_unavailable", "message": "too old", "hint": "Mend it."}
        self.end("failed", {**error, "retryable": True})

    def hang(self) -> None:
        """Wait for SIGTERM, and handle it like the real one: save, record it, end."""
        signal.signal(signal.SIGTERM, lambda *_: (self.save(), self.end("stopped")))
        (self.folder / "hangs").touch()
        while True:
            time.sleep(60)

    def slow_step(self) -> None:
        self.step += 1
        self.append("metric", {"reward": 0.5, "step_time": 4.0})

    def slow(self) -> None:
        """Until SIGTERM, and then for longer than the setting's grace, before it saves."""

        def save(*_: object) -> None:
            time.sleep(2)  # of the twelve seconds that three steps of four give it
            self.save()
            self.end("stopped")

        signal.signal(signal.SIGTERM, save)
        (self.folder / "hangs").touch()
        while True:
            time.sleep(60)

    def deaf(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: (self.folder / "heard").touch())
        (self.folder / "hangs").touch()
        while True:
            time.sleep(60)

    def gate(self) -> None:
        """Wait until a test opens the gate."""
        while not (self.folder / "open").exists():
            time.sleep(0.02)

    def clog(self) -> None:
        """Complete with a checkpoint whose upload never ends: its reader waits for a writer."""
        folder = self.folder / "checkpoints" / f"step-{self.step:06d}"
        folder.mkdir(parents=True)
        os.mkfifo(folder / "manifest.json")
        self.append("checkpoint", {"path": str(folder.relative_to(self.folder)), "final": True})
        self.end("completed")

    def phase(self) -> None:
        self.append("phase", {"phase": "training"})

    def freeze(self) -> None:
        """Stop by SIGSTOP."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def fill(self) -> None:
        """Fill the disk."""
        with suppress(OSError), (self.folder / "filler").open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def echo(self) -> None:
        """Record the spec's texts as read by the real trainer."""
        from grpo.spec.resolve import load_spec  # not above: other tests would wait for it

        self.append("message", {"level": "info", "text": load_spec(self.spec).data.system})

    def chatter(self) -> None:
        """Write text without a step."""
        while True:
            self.append("message", {"level": "info", "text": "still here"})
            time.sleep(0.02)

    def spawn(self) -> None:
        """Start a child that would survive the trainer."""
        helper = subprocess.Popen(["sleep", "600"])
        (self.folder / "helper").write_text(str(helper.pid))

    def rollouts(self) -> None:
        (self.folder / "rollouts").mkdir()
        (self.folder / "rollouts" / f"step-{self.step:06d}.jsonl.zst").write_bytes(b"rollouts")

    def python(self) -> None:
        self.append("message", {"text": f"python rewards allowed: {self.allow_python}"})

    def arguments(self) -> None:
        self.append("message", {"text": json.dumps(sys.argv[1:])})

    def scores(self) -> None:
        """Keep scores of services, as the real one does."""
        (self.folder / "scores.sqlite").write_bytes(b"")

    def environment(self) -> None:
        """Output the given environment everywhere."""
        given = json.dumps(dict(os.environ))
        print(given, flush=True)  # noqa: T201
        self.append("message", {"text": given})

    def crash(self) -> None:
        print("its last words", flush=True)  # noqa: T201
        os.kill(os.getpid(), signal.SIGKILL)

    def quit(self) -> None:
        sys.exit(3)

    def refuse(self) -> None:
        """End like the real one with a spec that it does not accept."""
        sys.stderr.write("a warning\ngrpo: data.train: no such file\n")
        sys.exit(2)

    def torn(self) -> None:
        """Write half a line, as after a power failure."""
        with (self.folder / "records.jsonl").open("a") as file:
            file.write('{"n": ')

    def garbage(self) -> None:
        with (self.folder / "records.jsonl").open("a") as file:
            file.write("garbage\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("spec", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume-from", type=Path)
    parser.add_argument("--lifeline-fd", type=int)
    parser.add_argument("--allow-python-rewards", action="store_true")
    parser.add_argument("--reward-hosts", required=True)
    parser.add_argument("--job", required=True)
    parser.add_argument("--earlier", action="append", type=Path)
    options = parser.parse_args()
    step = 0
    if options.resume_from:
        step = json.loads((options.resume_from / "manifest.json").read_text())["step"]
    script = Script(options.spec, options.out, step, allow_python=options.allow_python_rewards)
    if options.resume_from:
        script.append("resumed", {"from_step": step})
    words = json.loads(options.spec.read_text())["labels"]["script"].split()
    for word in words:
        getattr(script, "step_" if word == "step" else word)()


if __name__ == "__main__":
    main()
