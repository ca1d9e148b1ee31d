"""Which verbs make a store, that they say so, and that what is refused leaves no trace."""

import json
import os
import resource
import signal
import socket

from relay_harness import NetworkScenario
from scenario import FORK, HOST, NETWORK, NOT_FOUND, STORE, USAGE, VERIFICATION, main

AUTHOR = "0" * 64


class Traces(NetworkScenario):
    def files(self):
        """All that is there, but for what keygen and others leave while a test prepares."""
        return sorted(os.path.join(place, name) for place, folders, names in os.walk(self.place)
                      for name in folders + names)

    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()

    def leaves_nothing(self, status, *arguments, store="new", **options):
        before = self.files()
        said = self.error(status, *arguments, store=store, **options)
        self.assertEqual(self.files(), before, (arguments, said))
        self.assertNotIn("made store", said)
        return said

    def test_verbs_that_make_no_store(self):
        for verb in (["ls"], ["log", AUTHOR], ["cat", AUTHOR], ["verify"], ["follow", AUTHOR[:8]],
                     ["export", AUTHOR, "--jsonl"], ["delete", AUTHOR, "--payloads", "--range", "1"],
                     ["peers"], ["peers", "--forget", "127.0.0.1:1"]):
            said = self.leaves_nothing(NOT_FOUND, *verb)
            self.assertIn("there is no store", said)

    def test_a_refused_append_or_import(self):
        self.leaves_nothing(VERIFICATION, "append", "--key", "no.key", stdin=b"x")
        self.leaves_nothing(NOT_FOUND, "append", "--key", self.key, "no such file")
        self.new_log(["one"], key=(self.key, self.author), store="right")
        said = self.leaves_nothing(FORK, "append", "--key", self.key, stdin=b"x", store="wrong")
        self.assertIn("appended to up to seqnum 1", said)
        self.environment["CULM_MARKS"] = self.path("elsewhere/marks")
        said = self.leaves_nothing(FORK, "append", "--key", self.key, stdin=b"x", store="right")
        self.assertIn("is missing", said)
        other, _ = self.keygen("other.key")
        self.leaves_nothing(FORK, "append", "--key", other, "--gate", "required", stdin=b"x")
        self.write("bad.jsonl", "{}\n")
        self.leaves_nothing(VERIFICATION, "import", "--jsonl", "bad.jsonl")
        self.leaves_nothing(NOT_FOUND, "import", "--jsonl", "no such file")

    def test_an_append_or_import_of_nothing(self):
        self.write("empty", "")
        before = self.files()
        for files in ["-"], ["/dev/null"], ["empty", "empty"]:
            arguments = ("append", "--key", self.key, "--lines", *files)
            said = self.text(*arguments, store="new")
            self.assertEqual(said, "the input is empty: nothing was appended\n")
            report = self.json(*arguments, store="new")
            self.assertEqual((report["entries"], report["head"]), (0, 0))
        for file in "-", "/dev/null", "empty":
            self.assertIn("nothing was imported", self.text("import", "--jsonl", file, store="new"))
            self.assertEqual(self.json("import", "--jsonl", file, store="new")["entries_added"], 0)
        self.assertEqual(self.files(), before)
        self.out("append", "--key", self.key, "--lines", "empty", "-", "empty", stdin=b"a\nb\n")
        self.assertEqual(self.printed("store", self.author), ["a", "b"])
        self.assertEqual(self.json("append", "--key", self.key, "--lines")["head"], 2)

    def test_a_store_that_a_full_disk_has_no_room_for(self):
        limit = lambda: resource.setrlimit(  # noqa: E731
            resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        self.out("append", "--key", self.key, stdin=b"x", store="other")
        self.write("one.jsonl", self.out("export", self.author, "--jsonl", store="other"))
        said = self.leaves_nothing(STORE, "import", "--jsonl", "one.jsonl", preexec_fn=limit)
        self.assertIn("the disk or the quota of the store is full", said)
        os.mkdir(self.path("empty"))
        self.leaves_nothing(STORE, "import", "--jsonl", "one.jsonl", store="empty", preexec_fn=limit)
        failure = self.json("import", "--jsonl", "one.jsonl", status=STORE, store="new",
                            preexec_fn=limit)
        self.assertEqual((failure["error"], failure["about"]),
                         ("store_full", f"store {self.path('new')}"))
        self.assertIn("free space", failure["next"])

    def test_a_relay_that_cannot_serve(self):
        with socket.create_server((HOST, 0)) as taken:
            address = f"{HOST}:{taken.getsockname()[1]}"
            self.leaves_nothing(NETWORK, "relay", "--listen", address)
        self.leaves_nothing(USAGE, "relay", "--listen", "nowhere")
        self.leaves_nothing(VERIFICATION, "relay", "--listen", "127.0.0.1:0", "--network-key",
                            "no.key")
        self.leaves_nothing(VERIFICATION, "relay", "--listen", "127.0.0.1:0", "--peer-key",
                            "no such place/peer.key")

    def test_a_sync_that_gets_nothing(self):
        nobody = self.nobody()
        self.leaves_nothing(NETWORK, "sync", nobody, AUTHOR)
        self.leaves_nothing(NOT_FOUND, "sync", nobody)
        self.leaves_nothing(VERIFICATION, "sync", nobody, AUTHOR, "--network-key", "no.key")
        relay = self.relay("relay", "--accept-any")
        self.push_lines(3, relay, "other.key")
        self.leaves_nothing(NETWORK, "sync", relay.address, AUTHOR)
        self.leaves_nothing(NETWORK, "sync", relay.address, AUTHOR, "--network", "garden")
        self.leaves_nothing(NETWORK, "sync", relay.address, AUTHOR, "--peer", AUTHOR)
        self.leaves_nothing(NETWORK, "sync", relay.address, AUTHOR, "--peer-key",
                            self.path("peer.key"))
        relay.end()

    def test_a_quote_makes_no_store(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(3, relay, "other.key")
        before = self.files()
        done = self.run_culm("sync", relay.address, author, "--quote", store="new")
        self.assertIn(b"would receive", done.stdout)
        self.assertEqual((self.files(), done.stderr), (before, b""))
        relay.end()

    def test_a_live_sync_that_ends_before_anything_came(self):
        nobody = self.nobody()
        live = self.live("new", nobody, AUTHOR)
        live.wait_for(event="disconnected")
        live.end(signal.SIGTERM, NETWORK)
        self.assertFalse(os.path.exists(self.path("new")))

    def test_a_live_sync_serves_others_once_its_store_is_made(self):
        with socket.create_server((HOST, 0)) as taken:
            address = f"{HOST}:{taken.getsockname()[1]}"
        key, author = self.keygen("other.key")
        live = self.live("new", address, author)
        live.wait_for(event="disconnected")
        self.new_log(["one", "two"], key=(key, author), store="relay")
        relay = self.relay(listen=address)
        live.wait_for(event="caught_up", head=2)
        self.assertEqual(json.loads(live.said()),
                         {"type": "store_made", "store": self.path("new")})
        self.new_log(["mine"], key=(self.key, self.author), store="new")  # through the live sync
        self.new_log(["three"], key=(key, author), store="relay")
        live.wait_for(event="received", up_to=3)
        self.assertEqual(self.printed("new", self.author), ["mine"])
        live.end()
        self.assert_sound("new")
        relay.end()

    def test_verbs_that_make_a_store_say_so_once(self):
        relay = self.relay("relay", "--accept-any")
        _, author = self.push_lines(3, relay, "other.key")
        self.write("part.jsonl", self.out("export", author, "--jsonl", store="author"))
        for name, verb, stdin in (("a", ["append", "--key", self.key], b"x"),
                                  ("b", ["import", "--jsonl", "part.jsonl"], b""),
                                  ("c", ["sync", relay.address, author], b"")):
            said = self.run_culm(*verb, stdin=stdin, store=name).stderr.decode()
            self.assertEqual(said, f"culm: made store {self.path(name)}\n")
            self.assertEqual(self.run_culm(*verb, stdin=stdin, store=name).stderr, b"")
            self.assert_sound(name)
            os.rename(self.path(name), self.path(f"{name}.old"))
            if name == "a":
                continue  # its mark says that the log is longer
            said = self.run_culm(*verb, "--json", stdin=stdin, store=name).stderr.decode()
            self.assertEqual(json.loads(said), {"type": "store_made", "store": self.path(name)})
        relay.end()
        for _ in range(2):
            relay = self.relay("d")
            relay.end()
            self.assertEqual(relay.said().count(f"made store {self.path('d')}\n"), 1)

    def test_a_live_sync_goes_on_with_a_store_that_another_process_makes_meanwhile(self):
        with socket.create_server((HOST, 0)) as taken:
            address = f"{HOST}:{taken.getsockname()[1]}"
        live = self.live("new", address, self.author)
        live.wait_for(event="disconnected")
        self.new_log(["mine"], key=self.keygen("own.key"), store="new")
        held = self.json("ls", store="new")["log"]
        self.new_log(["one"], key=(self.key, self.author), store="relay")
        relay = self.relay(listen=address)
        live.wait_for(event="caught_up", head=1)
        self.new_log(["two"], key=(self.key, self.author), store="relay")
        live.wait_for(event="received", up_to=2)
        self.out("append", "--key", self.path("own.key"), stdin=b"more", store="new")
        live.end()
        self.assertNotIn("store_made", live.said())
        self.assertEqual({line["log"]: line["head"] for line in self.json_lines("ls", store="new")},
                         {held: 2, self.author: 2})
        self.assert_sound("new")
        relay.end()


if __name__ == "__main__":
    main()
