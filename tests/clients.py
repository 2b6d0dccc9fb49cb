"""Let many clients use a server at once: does each get what it asked for?

    python tests/clients.py [SECONDS [CLIENTS]]

`cyclegan serve` answers programs as it answers its page. Most clients send an image of
their own, again and again; some send no image, a file that claims 144 megapixels, or
one byte a second. Then the exported SavedModel answers as many threads. It prints what
was asked and how much memory the server held, and ends with exit code 1 if an answer
was wrong, the memory kept growing, or a file was left after SIGTERM.
"""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import exported
import gradio_client
import numpy as np
import psutil
import tensorflow as tf
import tiny

from cyclegan_tf.cli.main import main as cyclegan
from cyclegan_tf.images import denormalize, normalize, read_image
from cyclegan_tf.translation.translator import Translator

SECONDS, CLIENTS = 120, 32
# What clients send, in turn.
KINDS = ("no image", "a bomb", "a byte a second", *["an image"] * 13)
REFUSALS = {
    "no image": (b"no image", "cannot be read as an image"),
    "a bomb": (exported.png_that_claims(12_000, 12_000), "too many pixels"),
}
# The second half of the time may hold so much more memory than the first.
GROWTH = 1.05


class Tally:
    """What the clients have seen."""

    def __init__(self):
        self.asked = collections.Counter()
        self.wrong = []

    def check(self, kind, is_right, what):
        self.asked[kind] += 1
        if not is_right:
            self.wrong.append(f"{kind}: {what}")


def ask_page(number, address, folder, translator, deadline, tally):
    """Be one client of the page until the time is over."""
    kind = KINDS[number % len(KINDS)]
    if kind == "a byte a second":
        send_slowly(address, deadline)
        tally.asked[kind] += 1
        return
    image = exported.photo(32 + number, 48 + 3 * number, 3, seed=number)
    content, sentence = REFUSALS.get(kind, (exported.encode(image), None))
    path = folder / f"{number}.png"
    path.write_bytes(content)
    expected = translator(image)
    client = gradio_client.Client(
        address, verbose=False, download_files=str(folder / f"answers-{number}")
    )
    while time.monotonic() < deadline:
        try:
            (_, after), _ = client.predict(
                gradio_client.handle_file(path),
                "G: plain to striped",
                "Full",
                api_name="/translate",
            )
        except gradio_client.exceptions.AppError as e:
            tally.check(kind, sentence and sentence in str(e), e)
        else:
            found = read_image(pathlib.Path(after))
            is_right = sentence is None and is_equal(found, expected)
            tally.check(kind, is_right, "another image")
            os.remove(after)


def is_equal(found, expected):
    """Whether images are equal; a rounding may fall to the other side of a half."""
    return (
        found.shape == expected.shape
        and np.abs(found.astype(int) - expected).max() <= 1
    )


def send_slowly(address, deadline):
    """Send the body of an upload byte by byte."""
    url = urllib.parse.urlsplit(address)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 100000\r\n\r\n"
        )
        with contextlib.suppress(OSError):  # the server may hang up
            while time.monotonic() < deadline:
                connection.sendall(b"-")
                time.sleep(1)


def serve_page(run, folder, seconds, clients, tally):
    """Let clients use `cyclegan serve`; return the faults and the memory of a server.

    Returns:
        list of sentences; and the peaks of both halves of the time, in bytes.
    """
    temporary = folder / "temporary"
    temporary.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cyclegan_tf", "serve", str(run.folder)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    log = folder / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*command, "--port", str(port)], stdout=file, stderr=file, env=environment
        ) as server,
    ):
        address = f"http://127.0.0.1:{port}/"
        tiny.wait_until(lambda: address in log.read_text(), 120)
        translator = Translator(run.generator_path("g"))
        deadline = time.monotonic() + seconds
        peaks = [0, 0]

        def watch():
            while time.monotonic() < deadline:
                memory = psutil.Process(server.pid).memory_info().rss
                half = time.monotonic() > deadline - seconds / 2
                peaks[half] = max(peaks[half], memory)
                time.sleep(0.2)

        threading.Thread(target=watch).start()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            asked = [
                pool.submit(ask_page, i, address, folder, translator, deadline, tally)
                for i in range(clients)
            ]
        for future in asked:
            future.result()
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    faults = ["a traceback in the log"] if "Traceback" in log.read_text() else []
    left = [path for path in temporary.rglob("*") if path.is_file()]
    faults += [f"{len(left)} files are left, such as {left[0]}"] if left else []
    return faults, peaks


def ask_saved_model(run, folder, seconds, clients, tally):
    """Let threads ask the exported SavedModel until the time is over."""
    where = ("--for", "serving", "--out", str(folder / "exported"))
    if cyclegan(["export", str(run.generator_path("g")), *where]):
        raise RuntimeError("the run cannot be exported")
    (graph,) = (folder / "exported").rglob("saved_model.pb")
    loaded = tf.saved_model.load(str(graph.parent))
    translator = Translator(run.generator_path("g"))
    deadline = time.monotonic() + seconds

    def ask(number):
        # Sides of which serving_default, too, makes a translation.
        image = exported.photo(32 + 4 * number, 48 + 4 * number, 3, seed=number)
        expected = translator(image)
        sound, broken = exported.encode(image), REFUSALS["no image"][0]
        images = tf.constant(image[None])
        floats = tf.constant(normalize(image[None].astype(np.float32)))
        while True:
            (of_bytes,) = exported.translate_files(loaded, [sound])
            (of_images,) = loaded.signatures["uint8"](image=images)["translated"]
            (of_floats,) = loaded.signatures["serving_default"](image=floats)[
                "translated"
            ]
            for signature, answer in (
                ("image_bytes", of_bytes),
                ("uint8", of_images.numpy()),
                ("serving_default", denormalize(of_floats)),
            ):
                tally.check(signature, is_equal(answer, expected), "another image")
            with contextlib.suppress(tf.errors.InvalidArgumentError):
                exported.translate_files(loaded, [broken])
                tally.check("image_bytes", False, "an answer to no image")
            if time.monotonic() > deadline:
                return

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))


def main():
    """Serve, and print what was asked."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else CLIENTS
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run = tiny.untrained_run(folder / "run")
        faults, peaks = serve_page(run, folder, seconds, clients, tally)
        ask_saved_model(run, folder, seconds / 4, clients, tally)
    if peaks[1] > GROWTH * peaks[0]:
        faults.append("the memory kept growing")
    for kind, count in tally.asked.items():
        print(f"{kind} | {count}", flush=True)
    print(f"memory of both halves | {peaks[0] / 1e9:.2f} GB, {peaks[1] / 1e9:.2f} GB")
    for fault in (*faults, *tally.wrong):
        print(fault, flush=True)
    print(f"lost | {len(faults) + len(tally.wrong)}", flush=True)
    sys.exit(bool(faults or tally.wrong))


if __name__ == "__main__":
    main()
