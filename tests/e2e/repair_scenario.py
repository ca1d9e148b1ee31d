"""A full disk."""

import json
import os
import subprocess

from relay_harness import NetworkScenario
from scenario import CULM, main


class FullDisk(NetworkScenario):
    """Disks of few megabytes, in a namespace of their own."""

    def in_small_place(self, script, megabytes=6):
        """The lines that `script` prints on such a disk."""
        probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
        if probe.returncode != 0:
            self.skipTest("no namespace to mount a small disk in")
        os.mkdir(self.path("disk"))
        text = (f"set -u; mount -t tmpfs -o size={megabytes}m none {self.path('disk')}\n"
                f"export CULM_STORE={self.path('disk')}/store\n{script}")
        done = subprocess.run(["unshare", "-rm", "bash", "-c", text], cwd=self.place,
                              env={**self.environment, "C": CULM}, capture_output=True,
                              timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode().splitlines()

    FILL = """
      $C keygen me.key >author
      A=$(cat author)
      for i in $(seq 300); do head -c 30000 /dev/urandom | base64 -w 3000; done >input
      $C append --key me.key --lines <input >/dev/null 2>&1
      echo append $?
      cat /dev/zero >disk/rest 2>/dev/null
      echo free $(df --output=avail disk | tail -1)
    """

    def test_payloads_are_deleted_on_a_full_disk(self):
        lines = self.in_small_place(self.FILL + """
          $C --json delete $A --payloads --range 1-1000 >deleted; echo delete $?
          $C verify >/dev/null; echo verify $?
          seq 100 | $C append --key me.key --lines >/dev/null; echo append $?
          $C delete $A --payloads --range 1001- >/dev/null; echo delete $?
          $C verify >/dev/null; echo verify $?
        """)
        self.assertEqual(lines, ["append 5", "free 0", "delete 0", "verify 0", "append 0",
                                 "delete 0", "verify 0"])
        with open(self.path("deleted")) as file:
            self.assertGreater(json.load(file)["deleted"], 100)

    def test_beside_a_node_as_well(self):
        lines = self.in_small_place("""
          $C keygen me.key >author; A=$(cat author)
          for i in $(seq 90); do head -c 30000 /dev/urandom | base64 -w 0; echo; done >input
          $C append --key me.key --lines <input >/dev/null 2>&1; echo append $?
          $C relay --listen 127.0.0.1:0 >ready 2>said & R=$!
          until grep -sq 'listens at' ready; do kill -0 $R || exit 1; done
          cat /dev/zero >disk/rest 2>/dev/null; echo free $(df --output=avail disk | tail -1)
          $C delete $A --payloads --range 1- >/dev/null; echo delete $?
          kill $R; wait $R; $C verify >/dev/null; echo verify $?
        """)
        self.assertEqual(lines, ["append 0", "free 0", "delete 0", "verify 0"])


if __name__ == "__main__":
    main()
