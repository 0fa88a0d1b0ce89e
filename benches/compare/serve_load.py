"""Loads a running `aaclip serve` with many clients at a time and reports the answers.

    aaclip serve --port 8080 &
    python benches/compare/serve_load.py http://127.0.0.1:8080 pictures/ --clients 32 --seconds 60
    python benches/compare/serve_load.py http://127.0.0.1:8080 pictures/ --rude 0.2 --classes 40

Fails on any answer but 200 and 503 (rude requests aside), on a score that differs from the first one of the same
picture and class, and on resident memory at the end that is more than --growth above that at 10 seconds.
Rude requests break off in the middle, send rubbish, or do not take their answer. Standard library only.
"""

import argparse
import collections
import http.client
import json
import pathlib
import random
import re
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request

KINDS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


class Load:
    """The state shared by all clients."""

    def __init__(self, arguments):
        address = urllib.parse.urlsplit(arguments.url)
        self.host, self.port = address.hostname, address.port or 80
        files = sorted(p for p in arguments.pictures.rglob("*") if p.suffix.lower() in KINDS)
        self.pictures = [(str(p), p.read_bytes()) for p in files[:: max(1, len(files) // arguments.count)]]
        self.arguments = arguments
        self.lock = threading.Lock()
        self.statuses = collections.Counter()
        self.problems = []
        self.latencies = []
        self.scores = {}
        self.end = time.monotonic() + arguments.seconds

    def took(self, status, seconds, key, body):
        with self.lock:
            self.statuses[status] += 1
            if status != 200:
                if status != 503:
                    self.problems.append(f"{key}: {status} {body[:200]!r}")
                return
            self.latencies.append(seconds)
            score = json.loads(body)["score"]
            if self.scores.setdefault(key, score) != score:
                self.problems.append(f"{key}: {score}, before {self.scores[key]}")

    def client(self, seed):
        chance = random.Random(seed)
        connection, used = None, 0.0
        while time.monotonic() < self.end:
            name, picture = chance.choice(self.pictures)
            if chance.random() < self.arguments.rude:
                self.rude(chance, picture)
                continue
            known = self.arguments.classes
            label = f"part {chance.randrange(known)}" if known else ""
            query = urllib.parse.urlencode({"name": name, "class": label, "overlay": chance.choice(["true", "false"])})
            started = time.monotonic()
            try:
                # Some clients keep their connection, some do not, some send in chunks.
                # One that rested for long may have been closed meanwhile.
                if connection is None or chance.random() < 0.2 or started - used > 5:
                    connection = http.client.HTTPConnection(self.host, self.port, timeout=300)
                body = picture if chance.random() < 0.7 else iter([picture[:5000], picture[5000:]])
                connection.request("POST", f"/v1/detect?{query}", body=body)
                answer = connection.getresponse()
                content = answer.read()
                self.took(answer.status, time.monotonic() - started, (name, label), content)
                used = time.monotonic()
                if answer.will_close:
                    connection = None
                if answer.status == 503:
                    time.sleep(self.arguments.patience)
            except Exception as problem:
                connection = None
                with self.lock:
                    self.statuses[type(problem).__name__] += 1
                    self.problems.append(f"{name}: {problem!r}")

    def rude(self, chance, picture):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            kind = chance.randrange(4)
            if kind == 0:  # half a body
                connection.putrequest("POST", "/v1/detect")
                connection.putheader("Content-Length", str(len(picture)))
                connection.endheaders(picture[: len(picture) // 2])
            elif kind == 1:  # gone before the answer
                connection.request("POST", "/v1/detect?overlay=true&raw=true", body=picture)
            elif kind == 2:  # rubbish
                connection.request("POST", "/v1/detect", body=bytes(chance.randrange(256) for _ in range(500)))
                connection.getresponse().read()
            else:  # a damaged picture
                damaged = bytearray(picture)
                for _ in range(20):
                    damaged[chance.randrange(len(damaged))] = chance.randrange(256)
                connection.request("POST", "/v1/detect", body=bytes(damaged))
                connection.getresponse().read()
        except OSError:
            pass
        except http.client.HTTPException:
            pass
        finally:
            connection.close()
            with self.lock:
                self.statuses["rude"] += 1


def metric(url, name):
    text = urllib.request.urlopen(f"{url}/metrics", timeout=60).read().decode()
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    return float(found[1]) if found else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the server, as it was printed")
    parser.add_argument("pictures", type=pathlib.Path, help="a folder of pictures")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=40, help="pictures to take")
    parser.add_argument("--patience", type=float, default=0.1, help="seconds to wait after a 503")
    parser.add_argument("--rude", type=float, default=0, help="share of requests that misbehave")
    parser.add_argument("--classes", type=int, default=0, help="classes to name in turn, 0 for the server's own")
    parser.add_argument("--growth", type=float, default=30, help="megabytes that memory may grow after 10 seconds")
    arguments = parser.parse_args()
    resident = lambda: metric(arguments.url, "process_resident_memory_bytes") / 1e6
    memory = {"start": resident()}
    load = Load(arguments)
    print(f"{len(load.pictures)} pictures, {arguments.clients} clients, {arguments.seconds:.0f} s")
    threads = [threading.Thread(target=load.client, args=(seed,), daemon=True) for seed in range(arguments.clients)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    health = 0.0
    for at in [10, *range(20, int(arguments.seconds), 10)]:
        time.sleep(max(0.0, started + min(at, arguments.seconds) - time.monotonic()))
        memory[f"{at} s"] = resident()
        asked = time.monotonic()
        urllib.request.urlopen(f"{arguments.url}/healthz", timeout=60).read()
        health = max(health, time.monotonic() - asked)
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    memory["end"] = resident()
    time.sleep(1)
    memory["after"] = resident()
    print("answers", dict(load.statuses))
    if len(load.latencies) > 1:
        cuts = statistics.quantiles(load.latencies, n=100)
        print(f"{len(load.latencies) / seconds:.1f} pictures/s; seconds to an answer: median {cuts[49]:.2f}, "
              f"95 % {cuts[94]:.2f}, 99 % {cuts[98]:.2f}, most {max(load.latencies):.2f}; healthz {health:.3f}")  # fmt: skip
    print("resident MB", {at: round(mb, 1) for at, mb in memory.items()})
    left = metric(arguments.url, "aaclip_queue_length"), metric(arguments.url, "aaclip_http_requests_in_flight")
    print(f"left in the queue {left[0]:.0f}, in flight {left[1] - 1:.0f}")
    if memory["after"] > memory["10 s"] + arguments.growth:
        load.problems.append(f"memory grew from {memory['10 s']:.1f} to {memory['after']:.1f} MB")
    for problem in load.problems[:20]:
        print("PROBLEM", problem)
    return 1 if load.problems else 0


if __name__ == "__main__":
    sys.exit(main())
