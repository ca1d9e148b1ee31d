"""The steps of demo.sh: python3 demo.py CULM PLACE WHAT, with the lines in PLACE/lines. Exits 1 at
the first step that is not as it says; ends only processes that it started."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

CULM, PLACE, WHAT = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
os.environ["CULM_MARKS"] = str(PLACE / "marks")
IS_TERMINAL = sys.stdout.isatty()
NEWEST = 100
NOT_FOUND = 3  # as `culm --help` says


class Wrong(Exception):
    """A step was not as it says."""


def check(condition, text):
    if not condition:
        raise Wrong(text)


def count(number):
    return f"{number:,}"


def size(number):
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.0f} TB"


def heading(letter, text):
    line = f"{letter}. {text}"
    print(f"\n\033[1m{line}\033[0m" if IS_TERMINAL else f"\n{line}", flush=True)


def say(text):
    print(f"   {text}", flush=True)


class Peer:
    """A store, and the processes that work on it."""

    def __init__(self, name, patience):
        self.name = name
        self.patience = patience  # seconds that anything may take
        self.node = None
        self.output = PLACE / f"{name}.out"
        self.read = 0
        self.wire = 0
        self.seconds = 0.0

    def command(self, *arguments):
        return [CULM, "--json", "--store", str(PLACE / self.name), *map(str, arguments)]

    def run(self, *arguments, status=0):
        """The lines of JSON that the verb prints."""
        done = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=self.patience)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        check(done.returncode == status, f"{self.name}: culm {arguments[0]} ended with "
              f"{done.returncode}: {done.stderr.decode() or lines}")
        return lines

    def payloads(self, log, *arguments):
        command = [argument for argument in self.command("cat", log, "--lines", *arguments)
                   if argument != "--json"]
        return subprocess.run(command, capture_output=True, check=True,
                              timeout=self.patience).stdout

    def prints(self, log, seqnums):
        """Whether it prints the payload of any of the first of these."""
        return any(subprocess.run(self.command("cat", log, "--range", n), capture_output=True,
                                  timeout=self.patience).returncode == 0 for n in seqnums[:10])

    def sync(self, address, *arguments, status=0):
        log, whole, *_ = self.run("sync", address, *arguments, status=status)
        self.wire += whole["bytes_received"] + whole["bytes_sent"]
        self.seconds += whole["seconds"]
        return log, whole

    def held(self):
        return self.run("ls")[0]

    def verify(self):
        start = time.monotonic()
        self.run("verify")
        held = self.held()
        say(f"{self.name} verifies all it holds, from nothing: "
            f"{count(held['entries'] + held['certificate_entries'])} entries and "
            f"{count(held['payloads'])} payloads are good ({time.monotonic() - start:.2f} s)")
        return held

    def start(self, *arguments):
        """Starts a node, which runs until `stop`."""
        self.output = PLACE / f"{self.name}.{arguments[0]}.{time.monotonic_ns()}"
        self.read = 0
        with open(self.output, "wb") as output, open(f"{self.output}.err", "wb") as errors:
            self.node = subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL,
                                         stdout=output, stderr=errors)

    def wait(self, **fields):
        """The next line of the node that has these fields."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            text = self.output.read_bytes()[self.read:]
            for line in text.splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self.read += len(line)
                said = json.loads(line)
                if all(said.get(key) == value for key, value in fields.items()):
                    return said
            if self.node.poll() is not None:
                break
            time.sleep(0.02)
        errors = pathlib.Path(f"{self.output}.err").read_text()
        raise Wrong(f"{self.name} did not get to {fields}:\n{errors}")

    def serve(self, *arguments):
        """Starts a relay; where it listens."""
        self.start("relay", "--listen", "127.0.0.1:0", *arguments)
        ready = self.wait(pid=self.node.pid)
        say(f"{self.name} listens at {ready['address']}, process {self.node.pid}")
        return ready["address"]

    def stop(self):
        node, self.node = self.node, None
        start = time.monotonic()
        node.send_signal(signal.SIGTERM)
        status = node.wait(timeout=10)
        seconds = time.monotonic() - start
        check(status == 0, f"{self.name} ended with {status}")
        check(seconds < 5, f"{self.name} took {seconds:.1f} s to end")
        for line in self.output.read_bytes().splitlines():
            said = json.loads(line)
            if "bytes_received" in said:
                self.wire += said["bytes_received"] + said["bytes_sent"]
        say(f"{self.name}, process {node.pid}, has ended")

    def kill(self):
        if self.node is not None and self.node.poll() is None:
            self.node.kill()
            self.node.wait()


def ranges(seqnums):
    """As `culm` writes them."""
    parts = []
    for n in sorted(seqnums):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


class Demo:
    def __init__(self):
        lines = (PLACE / "lines").read_bytes()
        self.lines = [line + b"\n" for line in lines.removesuffix(b"\n").split(b"\n")]
        self.total = len(self.lines)
        check(self.total >= 10, f"{WHAT} has {self.total} lines, the demo needs 10 or more")
        patience = 60 + self.total / 500
        self.peers = [Peer(name, patience) for name in ("author", "relay", "B", "C", "D")]
        self.author, self.relay, self.b, self.c, self.d = self.peers
        self.middle = set(range(self.total // 3, self.total // 2 + 1))
        self.newest = set(range(max(1, self.total - NEWEST + 1), self.total + 1))

    def expect(self, peer, seqnums):
        """The peer prints the very lines of the input."""
        text = b"".join(self.lines[n - 1] for n in sorted(seqnums))
        check(peer.payloads(self.log, "--range", ranges(seqnums)) == text,
              f"what {peer.name} prints differs from the input")

    def append(self):
        heading("a", f"The author appends every line of {WHAT}, to a log")
        key = PLACE / "author.key"
        subprocess.run([CULM, "keygen", key], check=True, capture_output=True)
        start = time.monotonic()
        done, = self.author.run("append", "--key", key, "--lines", PLACE / "lines")
        seconds = time.monotonic() - start
        self.author.seconds += seconds
        self.log = done["log"]
        check(done["entries"] == self.total, f"{done['entries']} of {self.total} lines were appended")
        say(f"{count(self.total)} entries, {size(done['payload_bytes'])} of payloads, "
            f"in {seconds:.2f} s")
        say(f"the log is named by its author, {self.log}")

    def push(self):
        heading("b", "A relay with an empty store of its own takes the log from the author")
        address = self.relay.serve("--accept", self.log)
        start = time.monotonic()
        self.author.start("sync", address, "--live", "--push")
        self.author.wait(event="pushed", head=self.total)
        seconds = time.monotonic() - start
        self.relay.seconds += seconds
        held = self.relay.held()
        check(held["complete"] and held["payloads"] == self.total, f"the relay holds {held}")
        say(f"the relay has confirmed all {count(self.total)} entries, after {seconds:.2f} s")
        self.relay_address = address

    def author_leaves(self):
        heading("c", "The author goes offline")
        self.author.stop()

    def read_part(self):
        first, last = min(self.middle), max(self.middle)
        heading("d", f"B asks the relay for entries {count(first)} to {count(last)} and the newest "
                     f"{len(self.newest)} only")
        log, whole = self.b.sync(self.relay_address, self.log, "--range", f"{first}-{last}",
                                 "--newest", NEWEST)
        wanted = self.middle | self.newest
        proof, cost = log["certificate_entries"], log["whole"]
        levels = next(k for k in range(1, 64) if (3**k - 1) // 2 >= self.total)
        check(log["entries"] == len(wanted), f"{log['entries']} entries came for {len(wanted)}")
        check(proof <= 8 * levels, f"{proof} certificate entries came")
        check(cost["entries"] == self.total, f"the whole log was said to cost {cost}")
        moved = whole["bytes_received"] + whole["bytes_sent"]
        say(f"came:          {count(log['entries'])} entries and {proof} certificate entries to "
            f"prove them, {size(log['payload_bytes'])} of payloads; {size(moved)} on the wire, "
            f"in {whole['seconds']:.2f} s")
        say(f"the whole log: {count(cost['entries'])} entries, {size(cost['payload_bytes'])} of "
            f"payloads; about {size(cost['wire_bytes'])} on the wire")
        check(self.total < 1000 or moved < cost["wire_bytes"] / 1.5, "that was no saving")
        self.b.verify()
        self.expect(self.b, wanted)
        say("what B prints equals those lines of the input")

    def relay_leaves(self):
        heading("e", "The relay goes offline")
        self.relay.stop()

    def read_from_b(self):
        span = len(self.middle) // 4
        part = set(sorted(self.middle)[span:-span] if span else self.middle)
        first, last = min(part), max(part)
        heading("f", f"C gets entries {count(first)} to {count(last)} from B alone")
        self.b_address = self.b.serve()
        log, _ = self.c.sync(self.b_address, self.log, "--range", f"{first}-{last}")
        check(log["entries"] == len(part) and not log["missing"], f"C received {log}")
        say(f"came: {count(log['entries'])} entries and {log['certificate_entries']} certificate "
            f"entries, {size(log['payload_bytes'])} of payloads")
        self.c.verify()
        self.expect(self.c, part)
        say("what C prints equals those lines of the input")
        self.c_has = part

    def delete(self):
        heading("g", "B deletes half of its payloads, while it serves")
        held = sorted(self.middle | self.newest)
        gone = held[:len(held) // 2]
        rest = set(held[len(gone):])
        done, = self.b.run("delete", self.log, "--payloads", "--range", f"1-{gone[-1]}")
        # Certificate entries of empty lines have all of their payload as well.
        check(done["payloads"] >= len(rest), f"B has {done['payloads']} of {len(rest)} payloads left")
        lost = [n for n in gone if n not in self.c_has and self.lines[n - 1] != b"\n"]
        check(not self.b.prints(self.log, lost), "B still prints a payload that it deleted")
        say(f"{count(done['deleted'])} payloads are gone ({size(done['deleted_bytes'])}), "
            f"{count(len(rest))} are left")
        self.b.verify()
        log, _ = self.c.sync(self.b_address, self.log, "--range", ranges(self.middle),
                             "--newest", NEWEST, status=NOT_FOUND)
        check(not log["missing"], f"B does not serve {log['missing']}")
        check(log["payloads_missing"], "it is not said which payloads are nowhere")
        expected = self.c_has | rest
        self.c.verify()
        check(not self.c.prints(self.log, lost), "C was served a payload that B deleted")
        self.expect(self.c, expected)
        say("C took what is left from B, and prints those lines of the input")
        self.b.stop()

    def live(self):
        heading("h", "Relay and author are back; D takes everything and stays, while the author "
                     "appends more")
        address = self.relay.serve("--accept", self.log)
        self.author.start("sync", address, "--live", "--push")
        start = time.monotonic()
        self.d.start("sync", address, self.log, "--live")
        self.d.wait(event="caught_up", head=self.total)
        self.d.seconds += time.monotonic() - start
        say(f"D has all {count(self.total)} entries, after {self.d.seconds:.2f} s")
        more = [f"line {n} was appended while D was listening\n".encode() for n in range(1, 6)]
        printed = PLACE / "printed"
        head = self.total + len(more)
        with open(printed, "wb") as output:
            follow = subprocess.Popen(
                [CULM, "--store", str(PLACE / "D"), "follow", self.log, "--from-start",
                 "--payloads", "--lines", "--until", str(head)], stdout=output)
            try:
                for line in more:
                    addition = PLACE / "more"
                    addition.write_bytes(line)
                    start = time.monotonic()
                    self.author.run("append", "--key", PLACE / "author.key", "--lines", addition)
                    self.total += 1
                    self.d.wait(event="received", up_to=self.total)
                    say(f"entry {count(self.total)} was appended, and reached D "
                        f"{time.monotonic() - start:.2f} s later")
                follow.wait(self.d.patience)
            finally:
                follow.kill()
                follow.wait()
        expected = b"".join(self.lines + more)
        check(follow.returncode == 0, "follow failed")
        check(printed.read_bytes() == expected, "what D prints differs from the input")
        say(f"the {size(len(expected))} that D prints equal the input, and the "
            f"{len(more)} lines more")
        for peer in (self.d, self.author, self.relay):
            peer.stop()
        self.d.verify()

    def table(self):
        rows = [("who", "head", "entries", "certificate", "payloads", "payload bytes", "on the wire",
                 "time")]
        for peer in self.peers:
            held = peer.held()
            rows.append((peer.name, count(held["head"]), count(held["entries"]),
                         count(held["certificate_entries"]), count(held["payloads"]),
                         size(held["payload_bytes"]), size(peer.wire) if peer.wire else "-",
                         f"{peer.seconds:.2f} s"))
        widths = [max(map(len, column)) for column in zip(*rows)]
        print("\nWho holds what, in the end:")
        for name, *cells in rows:
            print("   " + name.ljust(widths[0]),
                  *(cell.rjust(width) for cell, width in zip(cells, widths[1:])), sep="  ")
        print("\n(certificate: entries held to prove the others; on the wire: as\n"
              "counted by those who called; time: to append, or to receive)")

    def run(self):
        try:
            for step in (self.append, self.push, self.author_leaves, self.read_part,
                         self.relay_leaves, self.read_from_b, self.delete, self.live, self.table):
                step()
        finally:
            for peer in self.peers:
                peer.kill()


def main():
    # An end from outside ends the processes that were started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    try:
        Demo().run()
    except (Wrong, subprocess.SubprocessError) as wrong:
        sys.exit(f"\nThis is not as it should be: {wrong}")
    except KeyboardInterrupt:
        sys.exit(1)
    print("\nEvery step was as it should be.")


main()
