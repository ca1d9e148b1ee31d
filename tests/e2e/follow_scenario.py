import json
import os
import select
import signal
import time

from scenario import NOT_FOUND, OK, USAGE, Scenario, main


class Follow(Scenario):
    def setUp(self):
        super().setUp()
        self.author = self.new_log(["one", "two"])

    def append(self, text):
        self.out("append", "--key", "me.key", "--lines", stdin=text)

    def wait_until_it_looks(self, process):
        """Appends until the follower has printed something; the first seqnum it printed."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.append(b"wake up\n")
            if select.select([process.stdout], [], [], 1)[0]:
                return json.loads(process.stdout.readline())["seqnum"]
        self.fail("follow prints nothing")

    def test_new_entries_are_printed_as_they_come_and_old_ones_are_not(self):
        process = self.start("follow", self.author, "--json")
        first = self.wait_until_it_looks(process)
        self.assertGreater(first, 2)
        self.append(b"a\nb\n")
        head = self.json("ls")["head"]
        seqnums = [first]
        while seqnums[-1] != head:
            seqnums.append(json.loads(process.stdout.readline())["seqnum"])
        self.assertEqual(seqnums, list(range(first, head + 1)))

    def test_from_start_prints_all_payloads_until_the_one_named(self):
        process = self.start("follow", self.author, "--from-start", "--payloads", "--lines",
                             "--until", 5)
        self.append(b"three\nfour\n")
        self.append(b"five\nsix\n")
        out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (OK, b"one\ntwo\nthree\nfour\nfive\n"))

    def test_what_was_there_already_ends_it_at_once(self):
        self.assertEqual(self.out("follow", self.author, "--until", 2), b"")

    def test_all_logs_are_followed_without_a_name(self):
        process = self.start("follow", "--from-start", "--json")
        self.out("append", "--key", "me.key", "--log-id", 9, stdin=b"other")
        logs = {json.loads(process.stdout.readline())["log"] for _ in range(3)}
        self.assertEqual(logs, {self.author, self.author + ".9"})

    def test_a_log_may_come_later(self):
        path, other = self.keygen("other.key")
        process = self.start("follow", other, "--until", 1, "--payloads", "--from-start")
        self.new_log(["hello"], key=(path, other))
        out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (OK, b"hello"))

    def test_an_interrupt_ends_it_cleanly(self):
        for number in signal.SIGINT, signal.SIGTERM:
            process = self.start("follow", self.author, "--from-start")
            process.stdout.readline()
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
            self.assertEqual((process.returncode, error), (OK, b""))

    def test_it_sleeps_while_nothing_happens(self):
        process = self.start("follow", self.author, "--from-start")
        process.stdout.readline()
        before = time.monotonic()
        used = self.cpu_seconds(process.pid)
        select.select([], [], [], 2)
        share = (self.cpu_seconds(process.pid) - used) / (time.monotonic() - before)
        self.assertLess(share, 0.2)

    @staticmethod
    def cpu_seconds(pid):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_what_cannot_be_followed_is_refused(self):
        self.error(NOT_FOUND, "follow", self.author, store="none")
        self.error(NOT_FOUND, "follow", "12345678")
        self.error(USAGE, "follow", "--until", 5)
        self.error(USAGE, "follow", self.author, "--until", 0)
        self.error(USAGE, "follow", self.author, "--lines")


if __name__ == "__main__":
    main()
