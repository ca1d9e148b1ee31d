"""E6: reading beside a writer, writing beside another one, and writing through a node."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from relay_harness import NetworkScenario
from scenario import CULM, LOCKED, main
from vectors_store import xxh64  # of tests/interop


class Locking(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.other_key, self.other = self.keygen("other.key")

    def hold(self):
        """Holds a store with one entry locked, as a node does."""
        self.out("append", "--key", self.key, stdin=b"one\n")
        lock = open(self.path("store/writer.lock"), "r+")
        self.addCleanup(lock.close)
        fcntl.lockf(lock, fcntl.LOCK_EX)
        print(os.getpid(), file=lock, flush=True)
        return lock

    def start_append(self):
        """An append that has written one entry and waits for more."""
        process = self.start("append", "--key", self.key, "--lines", stdin=subprocess.PIPE)
        process.stdin.write(b"one\n")
        process.stdin.flush()
        script = f"until [ \"$('{CULM}' cat {self.author} 2>/dev/null)\" = one ]; do :; done"
        subprocess.run(["bash", "-c", script], env=self.environment, timeout=60, check=True)
        return process

    def end_append(self, process, line):
        _, said = process.communicate(line, timeout=60)
        self.assertEqual(process.returncode, 0, said)

    def test_beside_a_node_that_takes_no_requests_writers_are_refused_with_its_pid(self):
        self.hold()
        for arguments in (["append", "--key", self.other_key, "--wait", "0"],
                          ["delete", self.author, "--payloads", "--range", "1"]):
            report = self.json(*arguments, stdin=b"x", status=LOCKED)
            self.assertEqual((report["error"], report["pid"]), ("store_locked", os.getpid()))
        message = self.error(LOCKED, "append", "--key", self.other_key, "--wait", "0.2", stdin=b"x")
        self.assertIn(f"(pid {os.getpid()})", message)
        self.error(LOCKED, "relay", "--listen", "127.0.0.1:0", "--accept-any")
        os.symlink(self.path("store"), self.path("alias"))
        self.error(LOCKED, "append", "--key", self.other_key, "--wait", "0", stdin=b"x",
                   store="alias")

    def test_an_append_waits_for_a_node_that_does_not_take_requests_yet(self):
        lock = self.hold()
        waiting = self.start("append", "--key", self.other_key, "--wait", "60",
                             self.write("x", "late"))
        self.error(LOCKED, "append", "--key", self.key, "--wait", "0", stdin=b"x")
        lock.close()
        _, said = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, said)
        self.assertEqual(self.out("cat", self.other), b"late")

    def test_a_sync_waits_for_another_process_that_writes(self):
        relay = self.relay("relay", "--accept-any")
        lock = self.hold()
        waiting = self.start("sync", relay.address, "--push", "--wait", "60")
        said = self.error(LOCKED, "sync", relay.address, "--push", "--wait", "0.2")
        self.assertIn(f"(pid {os.getpid()})", said)
        self.assertIn("--wait TIME waits longer", said.split("next: ")[1])
        lock.close()
        _, said = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, said)
        relay.end()

    def test_reading_works_beside_a_node(self):
        self.hold()
        for arguments in (["ls"], ["log", self.author], ["cat", self.author], ["verify"],
                          ["inspect", self.author, 1], ["export", self.author, "--jsonl"]):
            self.out(*arguments)

    def test_an_append_that_waits_for_more_shuts_out_nobody(self):
        waiting = self.start_append()
        self.out("append", "--key", self.other_key, stdin=b"other")
        self.out("delete", self.other, "--payloads", "--range", "1")
        self.out("import", "--jsonl", self.write("log", self.out("export", self.author, "--jsonl")))
        self.end_append(waiting, b"two\n")
        self.assertEqual(self.out("cat", self.author), b"onetwo")
        self.out("verify")

    def test_an_append_goes_on_through_the_node_that_starts_meanwhile(self):
        waiting = self.start_append()
        relay = self.relay("store", "--accept-any")
        self.end_append(waiting, b"two\n")
        relay.end()
        self.assertEqual(self.out("cat", self.author), b"onetwo")

    def test_who_waits_to_open_a_store_is_not_left_what_a_killed_process_half_made(self):
        self.out("append", "--key", self.key, stdin=b"one")
        # As a process that opens it, alone: it has begun to make the lock file.
        script = """if 1:
            import fcntl, os, sys
            directory = os.open("store", os.O_RDONLY)
            fcntl.flock(directory, fcntl.LOCK_EX)
            lock = os.open("store/lock.mdb", os.O_RDWR)
            fcntl.lockf(lock, fcntl.LOCK_EX)
            os.pwrite(lock, bytes(os.fstat(lock).st_size), 0)
            print(os.getpid(), flush=True)
            sys.stdin.read()"""
        opening = self.open_and_wait(script)
        reader = self.start("ls")
        deadline = time.monotonic() + 60
        while not self.is_open(self.path("store"), reader.pid):
            self.assertLess(time.monotonic(), deadline)
        opening.kill()
        opening.wait()
        _, said = reader.communicate(timeout=60)
        self.assertEqual(reader.returncode, 0, said)

    @staticmethod
    def is_open(path, pid):
        """Whether that process has it open, or one that it has started."""
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return any(os.path.realpath(file) == os.path.realpath(path)
                   for one in [pid, *children] for file in pathlib.Path(f"/proc/{one}/fd").iterdir())

    def open_and_wait(self, script):
        """Another process, in Python, that says its pid."""
        opening = subprocess.Popen([sys.executable, "-c", script], cwd=self.place,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self._end, opening)
        self.assertEqual(int(opening.stdout.readline()), opening.pid)
        return opening

    def test_who_was_stopped_while_it_opens_the_store_is_told_of(self):
        self.out("append", "--key", self.key, stdin=b"one")
        opening = self.open_and_wait("""if 1:
            import fcntl, os, signal
            directory = os.open("store", os.O_RDONLY)
            fcntl.flock(directory, fcntl.LOCK_EX)
            print(os.getpid(), flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)""")
        os.waitid(os.P_PID, opening.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        for verb in ["ls"], ["append", "--key", self.key, "--wait", "0", self.write("x", "x")]:
            report = self.json(*verb, status=LOCKED)
            self.assertEqual((report["error"], report["pid"]), ("store_locked", opening.pid))
            self.assertIn("another process is opening the store", report["message"])
            self.assertIn(f"`kill -CONT {opening.pid}`", report["next"])
        opening.send_signal(signal.SIGCONT)
        self.out("append", "--key", self.key, stdin=b"two")
        self.assertEqual(self.out("cat", self.author), b"onetwo")

    def test_the_next_writer_proceeds_after_a_kill(self):
        waiting = self.start_append()
        waiting.kill()
        waiting.wait()
        self.out("append", "--key", self.key, stdin=b"two")
        self.assertEqual(self.out("cat", self.author), b"onetwo")
        self.out("verify")

    def test_an_append_that_waits_for_more_lets_others_append_with_its_key(self):
        waiting = self.start_append()
        report = self.json("append", "--key", self.key, "--wait", "0", stdin=b"two")
        self.assertEqual(report["seqnums"], "2")
        said, errors = waiting.communicate(b"three\n", timeout=60)
        self.assertEqual(waiting.returncode, 0, errors)
        self.assertIn(b"2 entries (8 B), seqnum 1,3", said)
        self.assertEqual(self.out("cat", self.author), b"onetwothree")

    def append_at_once(self, processes, times):
        """What all of them said that failed, and the head then."""
        script = (f"for i in $(seq {times}); do echo $i | '{CULM}' append --key '{self.key}' "
                  "|| exit; done")
        running = [subprocess.Popen(["bash", "-c", script], env=self.environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                   for _ in range(processes)]
        failed = [process.communicate(timeout=100)[1] for process in running]
        said = [line for line in b"".join(failed).splitlines() if b"made store" not in line]
        return said, self.json("ls")["head"]

    def test_appends_with_one_key_that_coincide_wait_for_each_other(self):
        self.assertEqual(self.append_at_once(5, 6), ([], 30))
        relay = self.relay("store", "--accept-any")
        self.assertEqual(self.append_at_once(5, 6), ([], 60))
        relay.end()
        self.out("verify")

    def find_no_store_and_then_one(self, key, author, make):
        """What an append says that has found no store, where `make` makes one before it does."""
        mark = self.mark(author)
        # As an earlier version left it: who takes it over waits for the lock of the other.
        shutil.copy(mark, f"{key}.0.mark")
        with open(mark, "r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_EX, 1, 1)
            late = self.start("append", "--key", key, "--wait", "60", self.write("late", "late"))
            deadline = time.monotonic() + 60
            while not self.is_locked(held, 0):
                self.assertLess(time.monotonic(), deadline)
            make()
        _, said = late.communicate(timeout=60)
        self.assertEqual(late.returncode, 0, said)
        return said

    @staticmethod
    def is_locked(file, byte):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)
            return False
        except OSError:
            return True

    def test_an_append_goes_on_with_the_store_that_another_has_made_meanwhile(self):
        self.out("append", "--key", self.key, stdin=b"one")
        os.rename(self.path("store"), self.path("away"))
        said = self.find_no_store_and_then_one(
            self.key, self.author, lambda: os.rename(self.path("away"), self.path("store")))
        self.assertEqual(said, b"")
        self.assertEqual(self.out("cat", self.author), b"onelate")

    def test_who_did_not_make_the_store_does_not_say_so(self):
        # A mark that says nothing, as one whose process was killed before it published.
        slot = b"culmmrk1" + bytes(8) + bytes.fromhex(self.other) + bytes(8 + 8 + 64 + 16)
        slot += xxh64(slot, xxh64(b"author mark", 0)).to_bytes(8, "big")
        os.makedirs(self.path("marks"), exist_ok=True)
        with open(self.mark(self.other), "wb") as mark:
            mark.write(slot.ljust(4096, b"\0") + slot)

        def make():
            self.assertIn("made store", self.error(0, "append", "--key", self.key, stdin=b"one"))

        self.assertEqual(self.find_no_store_and_then_one(self.other_key, self.other, make), b"")
        self.assertEqual(self.out("cat", self.other), b"late")

    def test_one_alone_of_many_that_come_at_once_has_made_the_store(self):
        for number in range(4):
            keys = [self.keygen(f"{number}.{n}.key")[0] for n in range(6)]
            running = [self.start("append", "--store", f"store{number}", "--key", key,
                                  self.write("x", "x")) for key in keys]
            said = [process.communicate(timeout=60)[1] for process in running]
            self.assertEqual(sorted(said)[:-1], [b""] * 5)
            self.assertIn(b"made store", sorted(said)[-1])

    def test_one_alone_of_many_syncs_that_come_at_once_has_made_the_store(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(3, relay, "third.key")
        for number in range(12):
            store = f"store{number}"
            running = [self.start("sync", "--store", store, relay.address, author)
                       for _ in range(3)]
            said = [process.communicate(timeout=60)[1] for process in running]
            self.assertEqual(b"".join(said).count(b"made store"), 1, said)
            self.assertLessEqual({process.returncode for process in running}, {0, LOCKED}, said)
            self.out("verify", store=store)

    def test_one_alone_of_two_relays_that_come_at_once_has_made_the_store(self):
        for number in range(6):
            running = [self.start("relay", "--store", f"store{number}", "--listen", "127.0.0.1:0")
                       for _ in range(2)]
            deadline = time.monotonic() + 60
            while all(process.poll() is None for process in running):
                self.assertLess(time.monotonic(), deadline)
            for process in running:
                process.stdout.readline()  # the other one listens
            for process in running:
                process.terminate()
            said = [process.communicate(timeout=60)[1] for process in running]
            self.assertEqual(b"".join(said).count(b"made store"), 1, said)
            self.assertIn(LOCKED, [process.returncode for process in running])

    def test_who_holds_the_log_for_too_long_is_told_of(self):
        self.out("append", "--key", self.key, stdin=b"one")
        with open(self.mark(self.author), "r+b") as mark:
            fcntl.lockf(mark, fcntl.LOCK_EX, 1, 1)
            report = self.json("append", "--key", self.key, "--wait", "0.3", stdin=b"x",
                               status=LOCKED)
        self.assertEqual(report["error"], "author_mark_locked")
        self.out("append", "--key", self.key, "--wait", "0", stdin=b"two")

    def stop_while_it_writes(self, process):
        """Stops it where it has the store locked, with some parts in it."""
        deadline = time.monotonic() + 60
        with open(self.path("store/writer.lock"), "r+b") as lock:
            while True:
                self.assertLess(time.monotonic(), deadline)
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                self.assertIsNone(process.poll())
                size = os.stat(self.path("store/data.mdb")).st_size
                if size > 4 << 20 and self.is_locked(lock, 0):
                    return
                process.send_signal(signal.SIGCONT)

    def test_a_writer_that_is_stopped_in_a_large_payload_is_told_of(self):
        self.out("append", "--key", self.other_key, stdin=b"one")
        with open(self.path("large"), "wb") as large:
            large.truncate(1 << 30)
        writer = self.start("append", "--key", self.key, self.path("large"))
        self.stop_while_it_writes(writer)
        waiting = [self.start(*arguments) for arguments in (
            ["append", "--key", self.other_key, "--wait", "0.5", self.write("x", "x")],
            ["delete", self.other, "--payloads", "--range", "1"],
            ["select", self.other, "--newest", "1"],
            ["relay", "--listen", "127.0.0.1:0", "--accept-any"])]
        for process in waiting:
            _, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, LOCKED, said)
            self.assertIn(f"(pid {writer.pid})".encode(), said)
            self.assertIn(f"let it go on (`kill -CONT {writer.pid}`)".encode(), said)
        writer.kill()
        writer.wait()
        self.out("append", "--key", self.other_key, stdin=b"two")
        self.assertEqual(self.out("cat", self.other), b"onetwo")

    def test_a_node_that_is_stopped_is_told_of_and_does_not_do_it_later(self):
        self.out("append", "--key", self.key, stdin=b"one")
        relay = self.relay("store", "--accept-any")
        relay.process.send_signal(signal.SIGSTOP)
        report = self.json("append", "--key", self.key, "--wait", "1", stdin=b"x", status=LOCKED)
        self.assertEqual(report["error"], "node_silent")
        self.assertIn(f"`kill -CONT {relay.process.pid}`", report["next"])
        self.assertEqual(report["pid"], relay.process.pid)
        self.assertTrue(report["message"].endswith(f" (pid {relay.process.pid})"))
        relay.process.send_signal(signal.SIGCONT)
        self.out("append", "--key", self.key, stdin=b"two")
        self.assertEqual(self.out("cat", self.author), b"onetwo")
        relay.end()

    def test_more_than_the_node_listens_to_at_a_time_wait_their_turn(self):
        relay = self.relay("store", "--accept-any")
        idle = []
        here = os.getcwd()
        os.chdir(self.path("store"))  # a socket's name is short
        for _ in range(300):
            idle.append(socket.socket(socket.AF_UNIX))
            idle[-1].connect("node.sock")
        os.chdir(here)
        waiting = self.start("append", "--key", self.key, "--wait", "60", self.write("x", "late"))
        for one in idle:
            one.close()
        _, said = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, said)
        relay.end()

    def serve(self, *answers):
        """Listens as a node would; the list of the requests it got."""
        requests = []
        listener = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(self.path("store"))  # a socket's name is short
        listener.bind("node.sock")
        os.chdir(here)
        listener.listen()
        self.addCleanup(listener.close)

        def run():
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: nobody came
                return
            with connection, connection.makefile("rwb") as stream:
                for answer in answers:
                    lines = list(iter(stream.readline, b"\n"))
                    requests.append([json.loads(line) for line in lines])
                    stream.write(json.dumps(answer).encode() + b"\n")
                    stream.flush()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return requests

    def test_writing_goes_through_the_node_that_runs(self):
        self.hold()
        requests = self.serve({"ok": True, "changed": 1},
                              {"ok": True, "added": "1-2", "payloads_added": "1-2"}, {"ok": True})
        self.out("append", "--key", self.other_key, "--lines", stdin=b"a\nb\n")
        interest, append, publish = requests
        self.assertEqual(publish, [{"verb": "publish", "log": self.other}])
        self.assertEqual(interest, [{"verb": "change"}, {"log": self.other, "ranges": "1-",
                                                         "newest": 0, "payloads": True}])
        self.assertEqual(append[0], {"verb": "append", "log": self.other})
        self.assertEqual([bytes.fromhex(line["payload"]) for line in append[1:]], [b"a", b"b"])

    def test_deleting_goes_through_the_node_that_runs(self):
        self.hold()
        requests = self.serve({"ok": True, "changed": 1})
        self.out("delete", self.author, "--payloads", "--range", "1-3")
        self.assertEqual(requests, [[{"verb": "change"}, {"log": self.author, "delete": "1-3"}]])

    def test_a_node_that_does_none_of_what_it_was_asked_for_is_an_error(self):
        self.hold()
        self.serve({"ok": True})
        self.error(4, "delete", self.author, "--payloads", "--range", "1-3")

    def test_what_the_node_refuses_is_reported_as_its_own_refusal(self):
        self.hold()
        self.serve({"ok": False, "error": "store_full", "message": "full"})
        report = self.json("delete", self.author, "--payloads", "--range", "1", status=5)
        self.assertEqual(report["error"], "store_full")

    def test_a_node_that_says_nonsense_or_hangs_up_is_an_error(self):
        self.hold()
        self.serve("nonsense")
        self.error(4, "delete", self.author, "--payloads", "--range", "1")
        os.remove(self.path("store/node.sock"))
        self.serve()
        self.error(6, "delete", self.author, "--payloads", "--range", "1")

    def test_of_a_node_that_ends_amid_an_append_it_says_that_and_how_to_look(self):
        self.hold()
        self.serve()
        said = self.error(6, "append", "--key", self.other_key, stdin=b"x")
        self.assertIn("the node that runs on this store, as `culm relay` does, ended or hung up "
                      "before it said whether this was stored\n  next: `culm log ", said)
        self.assertIn(".0 --newest 1` shows the last entry", said)
        self.assertNotIn("run the same again", said)

    def test_a_socket_left_behind_by_a_dead_node_is_no_node(self):
        self.hold()
        self.serve()
        os.rename(self.path("store/node.sock"), self.path("store/old.sock"))
        listener = socket.socket(socket.AF_UNIX)
        os.chdir(self.path("store"))
        listener.bind("node.sock")
        os.chdir("/")
        listener.close()
        self.error(LOCKED, "append", "--key", self.other_key, "--wait", "0", stdin=b"x")


if __name__ == "__main__":
    main()
