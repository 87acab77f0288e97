"""Runs commands of fourge for many rows at once, each row's on processors of its own."""
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time


class Failed(RuntimeError):
    pass


class Stopped(RuntimeError):
    """The time given to the whole run is over."""


class Commands:
    """Runs commands that print one JSON document, until `seconds` are over or stop() is called."""

    def __init__(self, threads, seconds):
        self.threads = threads
        self.end = time.monotonic() + seconds if seconds else None
        self.running, self.lock, self.stopped = set(), threading.Lock(), False
        if seconds:
            timer = threading.Timer(seconds, self.stop)
            timer.daemon = True
            timer.start()

    def stop(self):
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.send_signal(signal.SIGTERM)

    def start(self, command, out, err):
        environment = dict(os.environ, OMP_NUM_THREADS=str(self.threads))
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        with self.lock:
            if self.stopped:
                raise Stopped()
            process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, env=environment)
            self.running.add(process)
            return process

    def run(self, command):
        """(document, MiB of memory at the most)."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(command, out, err)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            with self.lock:
                self.running.discard(process)
                if self.stopped:
                    raise Stopped()
            out.seek(0)
            err.seek(0)
            if process.returncode != 0:
                said = err.read().decode(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
                raise Failed(f"exit {process.returncode}: {said[0]}: {' '.join(map(str, command))}")
            return json.loads(out.read()), usage.ru_maxrss / 1024


def pin(worker, threads):
    """Binds this thread, and so its children, to its share of the processors where there are enough."""
    allowed = sorted(os.sched_getaffinity(0))
    share = allowed[worker * threads : (worker + 1) * threads]
    if len(share) == threads:
        os.sched_setaffinity(0, share)


def in_parallel(tasks, jobs, threads, on_done):
    """Calls tasks (name, function) on `jobs` workers; on_done(name, result or exception) one at a time, here."""
    waiting, done = queue.Queue(), queue.Queue()
    for task in tasks:
        waiting.put(task)

    def work(worker):
        pin(worker, threads)
        while True:
            try:
                name, function = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((name, function()))
            except Exception as error:  # reported by on_done
                done.put((name, error))

    for worker in range(jobs):
        threading.Thread(target=work, args=(worker,), daemon=True).start()
    for _ in tasks:
        on_done(*done.get())
