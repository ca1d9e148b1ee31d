"""How verbs end whose reader goes away, and that are interrupted."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

from relay_harness import NetworkScenario
from scenario import CULM, F_OFD_SETLK, HOST, INTERRUPTED, OK, READER_GONE, STORE, main


class Ending(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(["x" * 1000] * 300)
        self.file = self.path("file")
        self.out("export", self.author, "--jsonl", "-o", self.file)
        self.out("cat", self.author, "--range", 1)

    def wait_until(self, is_so):
        deadline = time.monotonic() + 60
        while not is_so():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def start_reading(self, text, *arguments):
        """A process that has read `text` from a pipe and waits for more."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        process = self.start(*arguments, stdin=reader)
        os.write(writer, text)
        self.wait_until(lambda: struct.unpack(
            "i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))[0] == 0)
        return process

    def interrupt(self, process, number=signal.SIGINT, status=INTERRUPTED):
        """What it says on stderr."""
        process.send_signal(number)
        process.wait(60)  # before what it prints is read: it might come to its end otherwise
        _, error = process.communicate()
        self.assertEqual(process.returncode, status, error)
        return error.decode()

    def test_a_reader_that_goes_away_ends_every_verb_without_a_word(self):
        relay = self.relay("relay", "--accept-any")
        for arguments in (["--help"], ["--version"], ["append", "--help"], ["keygen", "new.key"],
                          ["ls"], ["log", self.author], ["cat", self.author], ["verify"],
                          ["cat", self.author, "--json"], ["verify", "--json"],
                          ["inspect", self.author, "5"], ["path", "5"], ["lipmaa", "5"],
                          ["pool", "5"], ["export", self.author, "--jsonl"],
                          ["import", "--jsonl", self.file], ["verify", "--jsonl", self.file],
                          ["append", "--key", "me.key", self.file], ["relay"],
                          ["delete", self.author, "--payloads", "--range", "1"],
                          ["follow", self.author, "--from-start"],
                          ["sync", relay.address, "--push"], ["sync", relay.address, "--json"]):
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run([CULM, *arguments], cwd=self.place, env=self.environment,
                                  stdin=subprocess.DEVNULL, stdout=writer, timeout=60,
                                  stderr=subprocess.PIPE)
            os.close(writer)
            said = b"" if arguments[0] == "delete" else done.stderr  # that warns before it prints
            self.assertEqual((done.returncode, said), (READER_GONE, b""), arguments)
        self.assertEqual(self.json("ls")["head"], 301)
        self.out("verify")

    def test_what_was_done_is_said_where_the_output_cannot_be_written(self):
        self.write("marks.jsonl", self.out("mark", "--json"))
        relay = self.relay("relay", "--accept-any")
        self.out("sync", relay.address, "--push")
        for arguments, done in ((["keygen", "new.key"], "the key file was made"),
                                (["append", "--key", "me.key", self.file], "appended 1 entry"),
                                (["delete", self.author, "--payloads", "--range", "1"],
                                 "deleted 1 payload (1.0 kB)"),
                                (["select", self.author, "--newest", "9"],
                                 "what is wanted was changed"),
                                (["import", "--jsonl", self.file], "the import is done"),
                                (["name", self.author, "alice"], "the name was given"),
                                (["name", "--remove", "alice"], "forgot the name"),
                                (["mark", "--import", "marks.jsonl"], "the marks were read"),
                                (["peers", "--forget", relay.address], "forgot the peer"),
                                (["compact"], "back to the disk"),
                                (["backup", "copy"], "the backup was made"),
                                (["--help"], "output: "), (["ls"], "output: ")):
            with open("/dev/full", "wb") as full:
                done_by = subprocess.run([CULM, *arguments], cwd=self.place, stdout=full,
                                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                         env=self.environment, timeout=60)
            said = done_by.stderr.decode()
            self.assertEqual(done_by.returncode, STORE, (arguments, said))
            self.assertIn("No space left on device", said, arguments)
            self.assertIn(done, said, arguments)
            if done != "output: ":
                self.assertIn("next: make room where the output goes", said, arguments)
        self.assertEqual(self.json("ls")["head"], 301)

    def test_what_was_appended_is_said(self):
        append = ["append", "--key", "me.key", "--lines"]
        self.assertEqual(self.interrupt(self.start_reading(b"not whole", *append)),
                         "culm: append: interrupted: nothing was appended\n")
        process = self.start_reading(b"one\ntwo\nthr", *append)
        self.wait_until(lambda: self.json("ls")["head"] == 302)
        self.assertEqual(self.interrupt(process),
                         "culm: append: interrupted: appended 2 entries to the log, seqnum 301-302\n")
        process = self.start_reading(b"three\n", *append, "--json")
        self.wait_until(lambda: self.json("ls")["head"] == 303)
        said = json.loads(self.interrupt(process))
        self.assertEqual((said["error"], said["exit"]), ("interrupted", INTERRUPTED))
        self.assertEqual((said["log"], said["seqnums"], said["head"]), (self.author, "303", 303))
        self.out("append", "--key", "me.key", *append[3:], stdin=b"four\n")
        self.assertEqual(self.json("ls")["head"], 304)

    def test_a_compact_that_has_to_wait_loses_nothing(self):
        with open(self.path("store/writer.lock"), "r+b") as lock:
            # Its turn alone: who waits to queue has the file open just now and then.
            fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
            process = self.start("compact")
            self.wait_until(lambda: self.has_open(process.pid, self.path("store")))
            said = self.interrupt(process)
        self.assertEqual(said, "culm: compact: interrupted: nothing is lost; the same command "
                               "starts again\n")

    @staticmethod
    def has_open(pid, directory):
        with contextlib.suppress(FileNotFoundError):  # it is closed meanwhile
            return any(os.readlink(f"/proc/{pid}/fd/{name}").startswith(directory)
                       for name in os.listdir(f"/proc/{pid}/fd"))
        return False

    def test_what_reads_a_file_has_done_nothing(self):
        with open(self.file, "rb") as file:
            line = file.readline()
        process = self.start_reading(line, "--store", "none", "import", "--jsonl", "-")
        self.assertEqual(self.interrupt(process),
                         "culm: import: interrupted: nothing was taken\n")
        self.assertFalse((self.place / "none").exists())
        process = self.start_reading(line, "verify", "--jsonl", "-")
        self.assertEqual(self.interrupt(process),
                         "culm: verify: interrupted: not all of the file was verified\n")

    def test_a_verb_that_reads_in_a_process_of_its_own_says_it_once(self):
        for verb in (["cat"], ["export", "--jsonl"]):
            process = self.start(verb[0], self.author, *verb[1:])
            self.assertEqual(len(process.stdout.read(1)), 1)
            self.assertEqual(self.interrupt(process),
                             f"culm: {verb[0]}: interrupted: not all was printed\n")

    def test_ctrl_c_that_reaches_both_its_processes_is_said_once(self):
        for _ in range(60):
            process = self.start("cat", self.author, start_new_session=True)
            self.assertEqual(len(process.stdout.read(1)), 1)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
            self.assertEqual(process.stderr.read(),
                             b"culm: cat: interrupted: not all was printed\n")

    def test_what_becomes_of_a_copy_is_said(self):
        self.out("append", "--key", "me.key", stdin=os.urandom(20_000_000))
        part, said = self.place / "copy/data.mdb.part", ""
        for _ in range(20):  # it may be faster
            shutil.rmtree(self.place / "copy", ignore_errors=True)
            process = self.start("backup", "copy")
            self.wait_until(lambda: part.exists() or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            process.wait(60)
            if process.returncode != OK:
                said = process.stderr.read()
                break
        self.assertEqual((process.returncode, said),
                         (INTERRUPTED, b"culm: backup: interrupted: no backup was made; the same "
                                       b"command takes the place of what is there\n"))
        self.out("backup", "copy")
        self.out("verify", store="copy")

    def test_an_end_by_sigterm_is_one_by_a_signal(self):
        process = self.start("cat", self.author)
        self.assertEqual(len(process.stdout.read(1)), 1)
        self.assertEqual(self.interrupt(process, signal.SIGTERM, -signal.SIGTERM),
                         "culm: cat: interrupted: not all was printed\n")

    def test_an_end_by_sigterm_is_told_to_programs_with_its_status(self):
        process = self.start("cat", self.author, "--json")
        self.assertEqual(len(process.stdout.read(1)), 1)
        said = json.loads(self.interrupt(process, signal.SIGTERM, -signal.SIGTERM))
        self.assertEqual((said["error"], said["exit"]), ("interrupted", 143))

    def test_sigterm_is_no_good_end_of_a_sync_that_has_one_of_its_own(self):
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")  # who asks nothing before
        with socket.create_server((HOST, 0)) as silent:
            process = self.start("sync", f"{HOST}:{silent.getsockname()[1]}")
            peer, _ = silent.accept()
            peer.recv(1)
            said = self.interrupt(process, signal.SIGTERM, 143)
            self.assertEqual(said, "culm: sync: interrupted: the peer has not answered\n")
            peer.close()

    def test_follow_says_how_much_it_printed_and_sigterm_is_a_good_end(self):
        for number, status, said in ((signal.SIGINT, INTERRUPTED,
                                      "culm: follow: interrupted: printed 300 entries\n"),
                                     (signal.SIGTERM, OK, "")):
            process = self.start("follow", self.author, "--from-start")
            for _ in range(300):
                process.stdout.readline()
            self.wait_until(lambda: self.is_asleep(process.pid))
            self.assertEqual(self.interrupt(process, number, status), said)

    @staticmethod
    def is_asleep(pid):
        """The child that does the work."""
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            worker = children.read().strip()
        with open(f"/proc/{worker}/wchan") as file:
            return "poll" in file.read()

    def test_a_sync_keeps_what_came(self):
        with socket.create_server((HOST, 0)) as silent:
            address = f"{HOST}:{silent.getsockname()[1]}"
            process = self.start("sync", address)
            peer, _ = silent.accept()
            peer.recv(1)
            silence = "culm: sync: interrupted: the peer has not answered\n"
            self.assertEqual(self.interrupt(process), silence)
            process = self.start("sync", address, "--live")
            again, _ = silent.accept()
            again.recv(1)
            self.assertEqual(self.interrupt(process), silence)
            peer.close(), again.close()
        relay = self.relay("store")
        for came in ("what came is kept", "nothing came"):
            process = self.start("--store", "reader", "sync", relay.address, self.author, "--live")
            while b"caught up" not in (line := process.stdout.readline()):
                self.assertTrue(line)
            self.assertEqual(self.interrupt(process).splitlines()[-1],
                             f"culm: sync: interrupted: {came}")
        relay.end()
        relay = self.relay("relay", "--accept-any")
        process = self.start("sync", relay.address, self.author, "--live", "--push")
        while b"holds everything" not in (line := process.stdout.readline()):
            self.assertTrue(line)
        self.assertEqual(self.interrupt(process).splitlines()[-1],
                         "culm: sync: interrupted: what is confirmed is there")
        relay.end()

    def test_a_sync_by_a_node_is_left_to_it(self):
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")  # who asks nothing before
        relay = self.relay("store")
        with socket.create_server((HOST, 0)) as silent:
            process = self.start("sync", f"{HOST}:{silent.getsockname()[1]}")
            peer, _ = silent.accept()
            self.assertEqual(self.interrupt(process),
                             "culm: sync: interrupted: the node goes on with the sync\n")
            peer.close()
        relay.end()

    def test_a_relay_ends_well_by_sigterm_and_as_interrupted_by_ctrl_c(self):
        relay = self.relay()
        relay.end()
        relay = self.relay()
        relay.end(signal.SIGINT, status=INTERRUPTED)
        self.assertIn("interrupted: the relay has stopped", relay.said())
        self.assertFalse(os.path.exists(self.path("relay/node.sock")))


if __name__ == "__main__":
    main()
