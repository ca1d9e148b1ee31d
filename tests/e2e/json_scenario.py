"""Every line of JSON that a verb prints has a type of spec/cli.md and the keys that it promises."""

import json
import re
import shutil
import signal
import socket
import time

from export_import_scenario import make_log, to_jsonl
from rotten import PAGE, Rotten
from scenario import FORK, NETWORK, NOT_FOUND, SOURCE, STORE, USAGE, VERIFICATION, main

RANGES = re.compile(r"(\d+(-\d*)?(,\d+(-\d*)?)*)?")
KINDS = {
    "text": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "number": lambda value: type(value) is int and value >= 0,
    "seqnum": lambda value: type(value) is int and value >= 1,
    "real": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "hex": lambda value: isinstance(value, str) and re.fullmatch(r"([0-9a-f]{2})*", value),
    "log": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}(\.[1-9]\d*)?", value),
    "ranges": lambda value: isinstance(value, str) and RANGES.fullmatch(value),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def rows(section):
    """The cells of a section's table in spec/cli.md."""
    text = (SOURCE / "spec/cli.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def types(section):
    return {name.strip("`"): [key for key in keys.replace(" ", "").split(",") if key]
            for name, _, keys in rows(section)}


def kinds(section):
    return {key: kind.split(" or ") for key, kind, _ in rows(section)}


TYPES, KEYS = types("Types"), kinds("Keys")
STATES = set(re.findall("`([a-z]+)`", {row[0]: row[2] for row in rows("Keys")}["state"]))
LOG_TYPES, LOG_KEYS = types("Log of a relay"), kinds("Keys of that log")
LOG_LEVELS = {name.strip("`"): level for name, level, _ in rows("Log of a relay")}


class JsonLines(Rotten):
    def setUp(self):
        super().setUp()
        self.seen = set()
        self.ran = set()

    def check(self, line, types=TYPES, kinds=KEYS):
        promised = types[line["type"]]
        required = {key for key in promised if not key.startswith("[")}
        keys = set(line) - {"type"}
        self.assertLessEqual(required, keys, line)
        self.assertLessEqual(keys, {key.strip("[]") for key in promised}, line)
        for key in keys:
            self.assertTrue(any(KINDS[kind](line[key]) for kind in kinds[key]), (key, line))
        if line["type"] == "synced":
            self.assertIn(line["state"], STATES, line)
        self.seen.add(line["type"])

    def run_verb(self, *arguments, status=0, **options):
        """Checks all that a verb prints; its lines."""
        done = self.run_culm(*arguments, "--json", status=status, **options)
        self.ran.add(arguments[0])
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        said = [json.loads(line) for line in done.stderr.splitlines()]
        for line in lines + said:
            self.check(line)
        self.assertFalse([line for line in lines if line["type"] == "failure"])
        failures = [line for line in said if line["type"] == "failure"]
        self.assertEqual([line["exit"] for line in failures], [status] if status else [])
        return lines

    def test_the_tables_agree(self):
        used = {key.strip("[]") for keys in TYPES.values() for key in keys}
        self.assertEqual(used, set(KEYS))
        log_used = {key.strip("[]") for keys in LOG_TYPES.values() for key in keys}
        self.assertEqual((log_used | {"time", "level"}) - set(KEYS) | {"level"}, set(LOG_KEYS))
        all_kinds = [*KEYS.values(), *LOG_KEYS.values()]
        self.assertLessEqual({kind for kinds in all_kinds for kind in kinds}, set(KINDS))

    def test_the_states_of_a_synced_log_are_those_that_the_program_knows(self):
        source = (SOURCE / "replication/host/sync_json.cpp").read_text()
        outcomes = re.search(r"kLogOutcomes\{([^}]*)\}", source)[1]
        self.assertEqual(STATES, {*re.findall(r'"(\w+)"', outcomes), "live"})
        author = self.new_log(["a", "b"])
        relay = self.relay("relay", "--accept-any")
        self.sync_one("store", relay.address, author, "--push")
        for state, status, *arguments in (
                ("complete", 0, author), ("partial", NOT_FOUND, author, "--range", "5-6"),
                ("denied", NETWORK, "0" * 64), ("live", 0, author, "--live", "--deadline", 2)):
            line = self.run_verb("sync", relay.address, *arguments,
                                 store=f"to {state}", status=status)[-2]
            self.assertEqual((line["type"], line["state"]), ("synced", state))
        relay.end()

    def log_lines(self, relay):
        """Ends it; its lines, checked."""
        relay.end()
        lines = [json.loads(line) for line in relay.said().splitlines()]
        for line in lines:
            self.assertIn(line["level"], LOG_LEVELS[line["type"]])
            shown = {key: line[key] for key in line if key not in ("time", "level", "message")}
            self.check(shown, LOG_TYPES, {**KEYS, **LOG_KEYS})
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIsInstance(line["message"], str)
        return lines

    def test_every_line_of_the_log_of_a_relay_is_what_is_promised(self):
        author = self.new_log("abcd")
        other = self.new_log("x", key=self.keygen("other.key"), store="other")
        self.write("a.jsonl", to_jsonl(make_log(5), b"payload %d"))
        self.write("b.jsonl", to_jsonl(make_log(5, b"other %d", start=make_log(4))))
        for name in "ab":
            self.out("import", "--jsonl", f"{name}.jsonl", store=name)
        forked = self.json("ls", store="a")["log"]
        options = ("--accept", author, "--accept", forked, "--log-json", "--log-level", "debug")
        relay = self.relay("one", *options)
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")  # who asks nothing before
        self.sync_one("store", relay.address, author, "--push")
        self.run_culm("sync", relay.address, other, "--push", store="other", status=NETWORK)
        host, port = relay.address.split(":")
        socket.create_connection((host, int(port))).close()
        self.wait_until_said(relay, '"type":"came_to_nothing"')
        relay.process.send_signal(signal.SIGHUP)
        self.wait_until_said(relay, '"type":"hangup"')
        self.log_lines(relay)
        relay = self.relay("two", *options)
        for _ in range(20):
            socket.create_connection((host, int(relay.address.split(":")[1]))).close()
        self.wait_until_said(relay, '"type":"left_out"')
        self.log_lines(relay)
        self.log_lines(self.relay("b", *options))  # a store on which no node has run
        relay = self.relay("three", *options)
        self.sync_one("a", relay.address, forked, "--push")
        self.run_culm("sync", relay.address, forked, "--push", store="b", status=FORK)
        self.log_lines(relay)
        # What a restored store withholds is in own_branch_scenario.
        self.assertEqual(set(LOG_TYPES) - self.seen,
                         {"damaged", "denied", "not_taken", "store_fails", "withheld"})

    def test_every_verb_prints_what_is_promised(self):
        author = self.run_verb("keygen", "me.key")[0]["author"]
        self.run_verb("append", "--key", "me.key", "--lines", stdin=b"a\nb\nc\nd\n")
        self.run_verb("append", "--key", "me.key", "--log-id", 7, "--end")
        self.run_verb("name", author, "alice")
        self.run_verb("name")
        self.assertEqual([line["log"] for line in self.run_verb("ls")], [author, author + ".7"])
        self.run_verb("log", "alice")
        self.run_verb("cat", "alice.0")
        self.run_verb("follow", author, "--from-start", "--until", 4)
        self.run_verb("follow", author, "--from-start", "--until", 4, "--payloads")
        entry = bytes.fromhex(self.run_verb("inspect", author + ".0", "last")[0]["encoded"])
        self.run_verb("inspect", "--file", self.write("4.bin", entry))
        self.run_verb("inspect", "--hex", (entry[:-1] + bytes([entry[-1] ^ 1])).hex(),
                      status=VERIFICATION)
        self.run_verb("verify")
        self.run_verb("verify", "--entry", "4.bin")
        self.run_verb("export", author + ".0", "--jsonl", "-o", "a.jsonl")
        self.run_verb("verify", "--jsonl", "a.jsonl")
        self.run_verb("import", "--jsonl", "a.jsonl", "--undelete", store="other")
        relay = self.relay("relay", "--accept-any")
        self.run_verb("sync", relay.address, author + ".0", "--push")
        self.run_verb("peers")
        self.run_verb("peers", "--forget", relay.address)
        self.run_verb("sync", relay.address, author, "--quote", store="third")
        self.run_verb("sync", relay.address, author, "--newest", 2, store="third")
        self.live_lines(relay, author)
        self.check({"type": "relay", "peer": relay.peer, "address": relay.address, "port": 1,
                    "pid": relay.process.pid})
        self.run_verb("relay", "--listen", relay.address, status=NETWORK, store="fourth")
        self.run_verb("delete", author + ".0", "--payloads", "--range", "1", "--dry-run")
        self.run_verb("delete", author + ".0", "--payloads", "--range", "1")
        self.run_verb("lipmaa", 13)
        self.run_verb("path", 13)
        self.run_verb("pool", 3, "--log", author + ".0")
        self.run_verb("pool", 3)
        self.run_verb("name", "--remove", "alice")
        self.write("marks.jsonl", self.out("mark", "--json"))
        self.run_verb("mark")
        self.run_verb("mark", "--import", "marks.jsonl")
        self.run_verb("select", author + ".0", "--newest", 2, "--dry-run")
        self.run_verb("select", author + ".0", "--newest", 2)
        self.run_verb("select")
        self.run_verb("du")
        self.run_verb("compact", "--dry-run")
        self.run_verb("compact")
        for store, has_key in ("store", True), ("other", False):
            copied, = self.run_verb("backup", f"copy of {store}", store=store)
            self.assertEqual(copied["peer_key_left_out"], has_key)
        kept = {"type": "kept_file", "file": self.write("store/data.mdb.damaged", b"")}
        for verb in "repair", "ls", "verify":
            self.assertEqual(self.run_verb(verb)[-1], kept)
        self.run_verb("append", "--key", "me.key", "--log-id", 8, "--end")
        for verb in "ls", "verify":
            self.run_verb(verb, store="copy of store")
        self.run_verb("forget", author + ".7", "--own", "--dry-run")
        self.run_verb("forget", author + ".7", "--own")
        self.run_verb("help", "--manuals", "manuals")
        self.run_verb("--version")
        self.run_verb("help", "ls")
        verbs = set(re.findall(r"^  ([a-z]+) ", self.text("--help"), re.M))
        self.assertEqual(verbs - self.ran, set())
        self.assertEqual(set(TYPES) - self.seen, 
                         {"failure", "warning", "store_made", "damage", "dropped", "replaced",
                          "damaged_state", "restored_state", "damaged_peers", "dropped_peers",
                          "damaged_pages", "written_again", "lost", "would_ask", "would_lack",
                          "not_wanted", "forgetting_finished"} - self.seen)

    def live_lines(self, relay, author):
        live = self.live("fifth", relay.address, author)
        deadline = time.monotonic() + 30
        while True:
            line = live.next_line(deadline)
            self.check(line)
            if line.get("event") == "caught_up":
                break
        for line in live.end():
            self.check(line)
        # The only log of one that names none: it ends.
        live = self.live("fifth", relay.address)
        self.check(live.wait_for(event="caught_up"))
        self.run_verb("forget", author, "--own", store="fifth")
        self.check(live.wait_for(event="forgotten"))
        self.assertEqual(live.process.wait(30), 0)

    def test_failures_go_to_standard_error_whatever_fails(self):
        self.new_log("abc")
        for arguments, status in ((["ls", "--store", "nowhere"], NOT_FOUND), (["frobnicate"], USAGE),
                                  (["log", "12345678"], NOT_FOUND), (["ls", "--jsno"], USAGE),
                                  (["sync"], USAGE), (["cat", ""], USAGE), ([], USAGE),
                                  (["sync", "127.0.0.1:1"], NETWORK)):
            done = self.run_culm("--json", *arguments, status=status)
            failure = json.loads(done.stderr)
            self.check(failure)
            self.assertEqual((failure["type"], failure["exit"]), ("failure", status))
            if status == USAGE:
                self.assertIn("--help", failure["next"])

    def test_an_append_that_nobody_could_be_asked_about_is_a_warning(self):
        self.new_log("abc")
        shutil.copytree(self.path("store"), self.path("copy"))
        self.run_verb("append", "--key", "me.key", stdin=b"x", store="copy")
        self.assertIn("warning", self.seen)

    def test_evidence_of_a_fork_is_a_verdict(self):
        self.write("one", to_jsonl(make_log(5), b"payload %d"))
        self.write("two", to_jsonl(make_log(5, b"other %d", start=make_log(4))))
        self.run_verb("import", "--jsonl", "one")
        self.run_verb("import", "--jsonl", "two", status=FORK)
        verdict, = self.run_verb("verify", status=FORK)
        self.assertEqual((verdict["cap"], len(verdict["evidence"][0]["encoded_entries"])), (5, 2))

    def test_what_damage_took_is_said_by_each_verb_that_knows_of_it(self):
        author = self.new_log(self.lines(40))
        shutil.copytree(self.path("store"), self.path("whole"))
        self.rot_entry("store", 4)
        self.rot_payload("store", 30)
        verdict, = self.run_verb("verify", status=STORE)
        self.assertEqual((verdict["damaged_entries"], verdict["damaged_payloads"]), ("4", "30"))
        self.run_verb("repair", "--dry-run")
        self.run_verb("repair", status=NOT_FOUND)
        self.run_verb("repair", status=NOT_FOUND)
        for line in *self.run_verb("ls"), *self.run_verb("verify", status=NOT_FOUND):
            self.assertEqual((line["lost"], line["payloads_lost"], line["cut_off"]),
                             ("4", "30", "5-40"))
        self.assertLess({"lost", "would_ask", "would_lack"}, self.seen)
        relay = self.relay("whole", "--accept-any")
        less, = self.run_verb("select", author, "--range", "1-2,30-")
        self.assertEqual((less["payloads_unwanted"], less["payloads_cut_off"], less["why_alone"]),
                         ("3,5-29", "5-29", "damage"))
        self.assertEqual(less["held"], self.run_verb("ls")[0]["held"])
        shown, = self.run_verb("select", author)
        self.assertEqual({key: less[key] for key in shown}, shown)
        less, = self.run_verb("select", author, "--range", "1")
        self.assertEqual((less["lost_unwanted"], less["payloads_lost_unwanted"]),
                         ("4", "30"))
        self.run_verb("repair", author, "--from", relay.address)
        self.assertIn("not_wanted", self.seen)
        self.run_verb("select", author, "--all")
        replaced, = (line for line in self.run_verb("repair", author, "--from", relay.address)
                     if line["type"] == "replaced")
        self.assertEqual(replaced["cut_off"], "")
        relay.end()

    def test_what_an_author_mark_tells_of_and_is_not_here_is_said(self):
        author = self.new_log("abc")
        with open(self.path("store/data.mdb"), "rb") as file:
            before = file.read(2 * PAGE)
        self.out("append", "--key", "me.key", stdin=b"d")
        with open(self.path("store/data.mdb"), "r+b") as file:
            file.write(before)  # as where the last write of it was lost
        for line in *self.run_verb("ls", author), *self.run_verb("verify", status=NOT_FOUND):
            self.assertEqual((line["lost"], line["published"]), ("4", 4))

    def test_a_fork_says_what_it_drops_here(self):
        start = make_log(4)
        for name, length in ("a", 7), ("b", 6):
            payload = name.encode() + b" %d"
            branch = make_log(length, payload, start=start)
            branch = {n: entry for n, entry in branch.items() if n > 4}
            self.write(f"{name}.jsonl",
                       to_jsonl(start, b"payload %d") + to_jsonl(branch, payload))
        for name in "ab":
            self.out("import", "--jsonl", f"{name}.jsonl", store=name)
        log = self.json("ls", store="a")["log"]
        shutil.copytree(self.path("b"), self.path("c"))
        relay = self.relay("relay", "--accept-any")
        self.sync_one("a", relay.address, log, "--push")
        synced = self.sync_one("b", relay.address, log, status=FORK)
        self.check(synced)
        self.assertEqual((synced["dropped"], synced["payloads_dropped"]), ("5-6", "5-6"))
        relay.end()
        dropped = "2 entries that are here are dropped, with 2 payloads: 5-6"
        self.assertIn(dropped, self.text("log", log, store="b"))
        imported, = self.run_verb("import", "--jsonl", "a.jsonl", store="c", status=FORK)
        self.assertEqual(imported["forks"], [{"log": log, "at": 5, "dropped": "5-6",
                                              "payloads_dropped": "5-6"}])
        relay = self.relay("a", "--accept-any")
        shutil.rmtree(self.path("b"))
        self.out("import", "--jsonl", "b.jsonl", store="b")
        live = self.live("b", relay.address, log)
        defect = live.wait_for(event="defect", at=5)
        self.check(defect)
        self.assertEqual(defect["dropped"], "5-6")
        live.end(status=FORK)


if __name__ == "__main__":
    main()
