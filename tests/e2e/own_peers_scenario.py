"""What peers that do not know them say of own logs, and what is said of them for that."""

import shutil

from own_branch_scenario import OwnLog
from relay_harness import NetworkScenario
from scenario import FORK, NETWORK, OK, main


class CarriedElsewhere(OwnLog):
    """Store and mark of another machine, where the last entry was appended unasked."""

    def setUp(self):
        super().setUp()
        self.node.end()
        self.relay_holds("store-backup")
        self.restore()
        self.append(b"4\n")
        self.out("backup", "copy")
        self.write("marks.jsonl", self.out("mark", "--json"))
        self.relay_is_back()

    def carry(self):
        self.environment["CULM_MARKS"] = self.path("marks-there")
        self.environment["CULM_STORE"] = self.path("copy")
        self.out("mark", "--import", "marks.jsonl")

    def test_is_served_once_a_peer_confirmed_it_as_the_words_say(self):
        self.carry()
        self.assertTrue(self.json("ls")["withheld"])
        self.paste(self.error(OK, "ls"), "sync ", **{"HOST:PORT": self.address})
        self.assertNotIn("a node serves", self.text("ls"))
        self.assertNotIn("could tell of more", self.text("mark"))
        own = self.relay("copy")
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.assertEqual(self.sync_one("reader", own.address, self.author)["head"], 4)

    def test_is_still_asked_for_before_the_next_append(self):
        other = self.relay("other", "--accept-any")
        for address in self.address, other.address:
            self.sync_one("store", address, "--push")
        self.append(b"5\n")
        self.sync_one("store", self.address, "--push")
        self.carry()
        for push in ["--push"], []:
            self.sync_one("copy", other.address, *push)
            self.assertNotIn("withheld", self.json("ls"))
            said = self.error(FORK, "append", "--key", self.key, stdin=b"other 5")
            self.assertIn("a peer holds the log up to seqnum 5", said)


class LogThatBeganHere(NetworkScenario):
    """Of a reader who has appended to a log of their own, beside one that a relay serves."""

    ACCEPTS = ("--accept-any",)

    def setUp(self):
        super().setUp()
        accepting = self.keygen("author.key")
        self.theirs = accepting[1]
        accepts = self.ACCEPTS or ("--accept", self.theirs)
        self.node = self.relay("relay", *accepts)
        self.address = self.node.address
        self.new_log(["1", "2"], key=accepting, store="author")
        self.sync_one("author", self.address, "--push")
        self.sync_one("store", self.address, self.theirs)
        self.key, self.author = self.keygen("own.key")
        self.append(b"mine")

    def append(self, text, *arguments):
        return self.error(OK, "append", "--key", self.key, *arguments, stdin=text)


class NobodyReached(LogThatBeganHere):
    def assert_plain(self, cause, *arguments):
        for push in [], ["--push"], [self.theirs, self.author]:
            said = self.error(NETWORK, "sync", *arguments, *push)
            self.assertEqual(said.splitlines()[0], f"culm: sync: peer {arguments[0]}: {cause}")
            for word in "asked", "forget", self.author[:12]:
                self.assertNotIn(word, said)

    def gone(self):
        gone = self.relay("gone")
        gone.end()
        return gone.address

    def test_is_told_alone_and_not_what_is_in_doubt(self):
        refused = "nobody listens there (connection refused)"
        other = self.gone()
        self.assert_plain(refused, other)
        self.assert_plain(refused, other, "--also", self.gone())
        self.assert_plain("who answers is not the peer that --peer names", self.address, "--peer",
                          self.author)
        self.assert_plain("the peer is of another network (--network), or of another version of the "
                          "protocol", self.address, "--network", "other")
        self.node.end()
        self.assert_plain(refused, self.address)
        self.assert_plain(refused, other)

    def test_is_told_alone_where_the_last_entries_were_appended_unasked(self):
        shutil.copytree(self.path("store"), self.path("copy"))
        shutil.rmtree(self.path("store"))
        shutil.copytree(self.path("copy"), self.path("store"))
        self.node.end()
        self.assertIn("not sure", self.append(b"unasked"))
        self.assertIn("no peer, or not all, could tell of more", self.text("mark"))
        refused = "nobody listens there (connection refused)"
        self.assert_plain(refused, self.address)
        self.assert_plain(refused, self.gone())
        # Who is reached may not speak for one that is not.
        other = self.relay("other", "--accept-any")
        said = self.error(NETWORK, "sync", other.address, "--push")
        self.assertIn(f"while no peer, or not all, could tell of more, and "
                      f"peer {self.address} does not say either: {refused}", said)
        self.paste(said, "peers")
        self.sync_one("store", other.address, "--push", self.author)

    def test_is_told_alone_in_a_live_sync(self):
        said = self.error(NETWORK, "sync", self.gone(), "--live", "--deadline", "1")
        self.assertNotIn("asked", said)


class Denied(LogThatBeganHere):
    def test_is_no_answer_and_the_mark_says_so_until_a_peer_holds_it(self):
        self.run_culm("sync", self.address)
        self.assertIn("until a peer shows that it holds it each sync asks", self.text("mark"))
        self.out("sync", self.address, "--push")
        self.assertNotIn("began here", self.text("mark"))


class NotTakenAndRestored(LogThatBeganHere):
    """The only peer is asked what it does not say: it denies a log that it does not take."""

    ACCEPTS = ()
    UNTOLD = "appended while no peer, or not all, could tell of more"

    def setUp(self):
        super().setUp()
        self.out("backup", "copy")
        shutil.rmtree(self.path("store"))
        shutil.copytree(self.path("copy"), self.path("store"))
        self.said = self.append(b"after")

    def test_is_said_to_be_untold_and_goes_on_as_the_words_say(self):
        said = self.append(b"again")
        self.assertIn(f"the last entries were {self.UNTOLD};", said)
        for one in self.said, said:
            self.assertIn(": of 1 peer that this store has synced with none that could be asked "
                          "says whether it holds any", one)
            self.assertNotIn("serves it to nobody", one)
            self.assertIn("; where nothing else appends to the log, it may stay so", one)
        self.assertIn("(no peer, or not all, could tell of more", self.text("mark"))
        for verb in "ls", "verify":
            self.assertIn(self.UNTOLD, self.error(OK, verb) + self.text(verb))
        other = self.relay("other", "--accept-any")
        self.paste(said, "sync ", **{"HOST:PORT": other.address})
        self.assertEqual(self.append(b"sound"), "")
        self.assertNotIn("withheld", self.json("ls", self.author))

    def test_is_refused_where_it_is_to_be_told_until_a_relay_takes_it(self):
        append = ("append", "--key", self.key, "--gate", "required")
        said = self.error(FORK, *append, stdin=b"x")
        self.assertIn("no known peer could tell of more of the log: of 1 peer", said)
        other = self.relay("other", "--accept-any")
        self.paste(said, "sync ", **{"HOST:PORT": other.address})
        self.assertEqual(self.error(OK, *append, stdin=b"x"), "")

    def test_is_served_once_known_peers_were_asked_as_ls_says(self):
        own = self.relay("store", "--accept-any")
        said = "; a node serves it only once a known peer was asked"
        self.assertIn(said, self.text("ls"))
        marks = self.environment["CULM_MARKS"]
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.error(NETWORK, "sync", own.address, self.author, store="reader")
        self.live("reader", own.address, self.author).wait_for(event="received")
        self.environment["CULM_MARKS"] = marks
        self.assertIn(said, self.text("ls"))


class NotTaken(LogThatBeganHere):
    ACCEPTS = ()

    def test_fails_no_sync_that_brings_all_that_is_served_and_is_told_of_once(self):
        for log_id in None, "1":
            if log_id:
                self.append(b"more", "--log-id", log_id)
            self.append_to_theirs()
            done = self.run_culm("sync", self.address)
            self.assertIn(f"{self.author[:12]}: the peer does not serve this log",
                          done.stdout.decode())
            said = done.stderr.decode()
            self.assertEqual(said.count("next: "), 1)
            self.assertIn("next: push what was appended here to a relay that takes it: `culm sync "
                          f"HOST:PORT {self.author[:12]}.0 --push`", said)
            self.assertEqual("; then" in said, bool(log_id))
            quote = self.run_culm("sync", self.address, "--quote")
            self.assertIn(b"push what was appended here", quote.stderr)
            self.assertIn(f"{self.author[:12]}: the peer does not serve this log\n",
                          quote.stdout.decode())
            self.out("sync", self.address, "--live", "--deadline", "1")
            outcomes = {line["log"]: line["state"] for line in self.json_lines("sync", self.address)
                        if "state" in line}
            self.assertEqual((outcomes[self.theirs], outcomes[self.author]), ("complete", "denied"))
        self.assertIn("began here", self.text("mark"))
        other = self.relay("other", "--accept-any")
        self.paste(said, "sync ", **{"HOST:PORT": other.address})
        self.assertEqual(self.json("ls", store="other")["log"], self.author)

    def append_to_theirs(self):
        self.out("append", "--key", self.path("author.key"), stdin=b"x", store="author")
        self.sync_one("author", self.address, "--push")

    def test_fails_a_push_which_says_how_to_do_without(self):
        said = self.error(NETWORK, "sync", self.address, "--push")
        self.assertIn(f"--accept {self.author}.0 besides; or push it to another and name the logs to "
                      "push here", said)
        self.sync_one("store", self.address, "--push", f"{self.theirs}.0")

    def test_fails_a_sync_that_names_it_or_of_a_store_that_lacks_some_of_it(self):
        self.error(NETWORK, "sync", self.address, self.author)
        self.out("backup", "copy")
        self.append(b"2")
        for arguments in [], ["--quote"]:
            self.error(NETWORK, "sync", self.address, *arguments, store="copy")
        self.run_culm("sync", self.address)
        self.environment["CULM_MARKS"] = self.path("marks-of-somebody")
        self.error(NETWORK, "sync", self.address)


if __name__ == "__main__":
    main()
