"""E6: reading beside a writer, writing beside another one, and writing through a node."""

import json
import os
import socket
import subprocess
import threading

from scenario import CULM, LOCKED, Scenario, main


class Locking(Scenario):
    def setUp(self):
        super().setUp()
        self.key, self.author = self.keygen()
        self.other_key, self.other = self.keygen("other.key")
        self.holder = None

    def hold(self):
        """A process that has the store open for writing, and has written one entry."""
        self.holder = self.start("append", "--key", self.key, "--lines", stdin=subprocess.PIPE)
        self.holder.stdin.write(b"one\n")
        self.holder.stdin.flush()
        script = f"until [ \"$('{CULM}' cat {self.author} 2>/dev/null)\" = one ]; do :; done"
        subprocess.run(["bash", "-c", script], env=self.environment, timeout=60, check=True)

    def test_a_second_writer_is_refused_with_the_pid_of_the_first(self):
        self.hold()
        for arguments in (["append", "--key", self.other_key],
                          ["delete", self.author, "--payloads", "--range", "1"]):
            report = self.json(*arguments, stdin=b"x", status=LOCKED)
            self.assertEqual((report["reason"], report["pid"]), ("store_locked", self.holder.pid))
        message = self.error(LOCKED, "append", "--key", self.other_key, stdin=b"x")
        self.assertIn(f"(pid {self.holder.pid})", message)
        os.symlink(self.path("store"), self.path("alias"))
        self.error(LOCKED, "append", "--key", self.other_key, stdin=b"x", store="alias")

    def test_reading_works_beside_a_writer(self):
        self.hold()
        for arguments in (["ls"], ["log", self.author], ["cat", self.author], ["verify"],
                          ["inspect", self.author, 1], ["export", self.author, "--jsonl"]):
            self.out(*arguments)

    def test_the_next_writer_proceeds_after_a_kill(self):
        self.hold()
        self.holder.kill()
        self.holder.wait()
        self.out("append", "--key", self.key, stdin=b"two")
        self.assertEqual(self.out("cat", self.author), b"onetwo")
        self.out("verify")

    def test_one_key_appends_in_one_process_at_a_time(self):
        self.hold()
        self.error(LOCKED, "append", "--key", self.key, stdin=b"x", store="elsewhere")

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
        requests = self.serve({"ok": True}, {"ok": True, "added": "1-2", "payloads_added": "1-2"})
        self.out("append", "--key", self.other_key, "--lines", stdin=b"a\nb\n")
        interest, append = requests
        self.assertEqual(interest, [{"verb": "set_interest", "log": self.other, "ranges": "1-",
                                     "newest": 0, "payloads": True}])
        self.assertEqual(append[0], {"verb": "append", "log": self.other})
        self.assertEqual([bytes.fromhex(line["payload"]) for line in append[1:]], [b"a", b"b"])

    def test_deleting_goes_through_the_node_that_runs(self):
        self.hold()
        requests = self.serve({"ok": True})
        self.out("delete", self.author, "--payloads", "--range", "1-3")
        self.assertEqual(requests, [[{"verb": "delete_payloads", "log": self.author,
                                      "seqnums": "1-3"}]])

    def test_what_the_node_refuses_is_reported_as_its_own_refusal(self):
        self.hold()
        self.serve({"ok": False, "error": "store_full", "message": "full"})
        report = self.json("delete", self.author, "--payloads", "--range", "1", status=5)
        self.assertEqual(report["reason"], "store_full")

    def test_a_node_that_says_nonsense_or_hangs_up_is_an_error(self):
        self.hold()
        self.serve("nonsense")
        self.error(4, "delete", self.author, "--payloads", "--range", "1")
        os.remove(self.path("store/node.sock"))
        self.serve()
        self.error(6, "delete", self.author, "--payloads", "--range", "1")

    def test_a_socket_left_behind_by_a_dead_node_is_no_node(self):
        self.hold()
        self.serve()
        os.rename(self.path("store/node.sock"), self.path("store/old.sock"))
        listener = socket.socket(socket.AF_UNIX)
        os.chdir(self.path("store"))
        listener.bind("node.sock")
        os.chdir("/")
        listener.close()
        self.error(LOCKED, "append", "--key", self.other_key, stdin=b"x")


if __name__ == "__main__":
    main()
