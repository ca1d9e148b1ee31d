"""Logs that begin in a store while a live sync runs on it."""

from relay_harness import NetworkScenario
from scenario import NETWORK, USAGE, main


class JoiningLogs(NetworkScenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.push_lines(3, self.hub_taking("--accept-any"))

    def hub_taking(self, *options):
        self.hub = self.relay("hub", *options)
        return self.hub

    def append(self, log_id, store="author"):
        self.run_culm("append", "--key", self.key, "--log-id", log_id, stdin=b"n", store=store)
        return f"{self.author}.{log_id}"

    def assert_confirmed(self, live, *logs, status=0):
        """Each is in the receipt, and confirmed; so the relay has it."""
        said = {line["log"]: line for line in live.end(status=status) if line["type"] == "synced"}
        for log in logs:
            self.assertEqual((said[log]["state"], said[log]["pushed"]), ("live", True), said)
            self.assertEqual(self.printed("hub", log), ["n"])
        return said

    def test_one_that_is_appended_is_pushed_whatever_the_sync_names(self):
        for log_id, names in (8, []), (9, [self.author]), (10, [self.author[:12]]):
            live = self.live("author", self.hub.address, *names, "--push")
            live.wait_for(event="pushed")
            log = self.append(log_id)
            self.assertEqual(live.wait_for(event="joined")["log"], log)
            live.wait_for(event="pushed", log=log)
            self.assert_confirmed(live, log)

    def test_one_that_is_imported_is_pushed(self):
        log = self.append(8, store="other")
        file = self.path("log.jsonl")
        self.run_culm("export", log, "--jsonl", "-o", file, store="other")
        live = self.live("author", self.hub.address, "--push")
        live.wait_for(event="pushed")
        self.run_culm("import", "--jsonl", file, store="author")
        live.wait_for(event="pushed", log=log)
        self.assert_confirmed(live, log)

    def test_people_are_told(self):
        process = self.start("--store", "author", "sync", self.hub.address, "--live", "--push")
        for line in process.stdout:
            if b"holds everything that is here" in line:
                break
        self.append(8)
        name = f"{self.author[:12]}.8".encode()
        for line in process.stdout:
            if name in line:
                break
        self.assertEqual(line, name + b": known here now, and synced as well\n")

    def test_very_many_are_refused_at_once(self):
        names = [f"{self.author}.{n}" for n in range(4097)]
        said = self.error(USAGE, "sync", self.hub.address, "--live", *names)
        self.assertIn("at most 4,096 logs", said)

    def test_one_that_the_relay_declines_is_no_success(self):
        self.hub.end()
        self.hub_taking("--accept", f"{self.author}.0")
        live = self.live("author", self.hub.address, "--push")
        live.wait_for(event="pushed")
        log = self.append(8)
        live.wait_for(event="offer_denied", log=log)
        said = self.assert_confirmed(live, status=NETWORK)
        self.assertFalse(said[log]["pushed"])


if __name__ == "__main__":
    main()
