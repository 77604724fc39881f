"""What the peer in Python says to this package, and what it expects: `speak.py client PORT PSK`, `speak.py server PSK`.

As a client it prints one line when all went well; as a server its port first. Options in the environment variable
PEER_OPTIONS, as JSON.
"""

import hashlib
import json
import os
import socket
import sys

from sealwire_peer import ANSWER, ERROR, REPLY, Peer, connect, encode_fields, u32

OPTIONS = json.loads(os.environ.get("PEER_OPTIONS", "{}"))
STREAMS = {5: b"", 6: u32(16_384)}


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r:.200} instead of {wanted!r:.200}")


CYCLE = bytes(i * 7 % 251 for i in range(251))


def pattern(n, seed=0):
    at = seed % 251
    return (CYCLE * (n // 251 + 2))[at : at + n]


def failure(request):
    kind, _, error = request.wait()
    equal(kind, ERROR)
    return (error["origin"], error["code"])


def client(port, psk):
    def back(request):
        equal(request.body, b"and you?")
        request.reply(b"well")

    peer = connect(port, psk, on_request=back, on_message=None, **OPTIONS)
    # Requests, one of them in a bundle with a one-way message, and one-way messages beyond the credit.
    equal(peer.request(b"hello").wait(), (REPLY, {}, b"hello"))
    for i in range(300):
        peer.send(pattern(2_000, i))
    kind, head, body = peer.request(b"", {2: b"count", 3: b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}).wait()
    equal((kind, head, body), (ANSWER, {4: b"\x01"}, b"300"))
    # Items of all lengths both ways.
    echo = peer.request(b"", {2: b"echo", **STREAMS})
    lengths = [0, 1, 15_999, 16_000, 16_001, 70_000, 3, 0, 200_000]
    for i, length in enumerate(lengths):
        echo.write(pattern(length, i))
        equal(echo.read(), pattern(length, i))
    echo.end()
    equal(echo.read(), None)
    equal(echo.wait(), (REPLY, {}, str(len(lengths)).encode()))
    # A long stream each way.
    download = peer.request(b"", {2: b"download", 6: u32(16_384)})
    digest = hashlib.sha256()
    for item in iter(download.read, None):
        digest.update(item)
    equal(download.wait(), (REPLY, {}, digest.digest()))
    upload = peer.request(b"", {2: b"upload", 5: b""})
    digest = hashlib.sha256()
    for i in range(100):
        item = pattern(20_000, i)
        digest.update(item)
        upload.write(item)
    upload.end()
    equal(upload.wait(), (REPLY, {}, digest.digest()))
    # Each side leaves a stream of the other; the call goes on.
    left = peer.request(b"", {2: b"numbers", 6: u32(16_384)})
    equal([left.read(), left.read()], [b"0", b"1"])
    left.stop()
    equal(left.wait(), (REPLY, {}, b"stopped"))
    left = peer.request(b"", {2: b"first", 5: b""})
    while left.write(pattern(5_000)):
        pass
    equal(left.wait(), (REPLY, {}, pattern(5_000)))
    # What goes wrong.
    held = peer.request(b"", {2: b"hold", **STREAMS})
    held.cancel()
    equal(failure(held), (2, "ERR_ABORTED"))
    equal(failure(peer.request(b"", {2: b"hold", 1: u32(50)})), (2, "ERR_REQUEST_TIMEOUT"))
    equal(failure(peer.request(b"", {2: b"hold", 1: u32(0)})), (1, "ERR_REQUEST_TIMEOUT"))
    equal(failure(peer.request(b"", {2: b"throw"})), (0, "E_NO"))
    equal(failure(peer.request(b"", {2: b"echo", 64: b"!"})), (1, "ERR_UNSUPPORTED"))
    equal(failure(peer.request(b"", {2: b"echo", 1: b"short"}))[0], 1)
    equal(peer.request(b"skipped", {2: b"body", 63: b"?", 200: b"mine"}).wait(), (REPLY, {}, b"skipped"))
    # Calls of the server, whose numbers are even.
    equal(peer.request(b"", {2: b"call me"}).wait(), (REPLY, {}, b"well"))
    peer.ping(9)
    peer.say(3, 100, b"new")  # a kind that it does not know
    equal(peer.request(b"still there?").wait(), (REPLY, {}, b"still there?"))
    peer.close()
    print(json.dumps({"ok": True}), flush=True)


def server(psk):
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    sock, _ = listener.accept()
    sock.settimeout(20)
    messages = []

    def answer(request):
        method = request.head.get(2, b"")
        if method == b"":
            request.reply(request.body)
        elif method == b"count":
            request.reply(str(len(messages)).encode(), {4: b"\x01"})
        elif method == b"echo":
            count = 0
            for item in iter(request.read, None):
                request.write(item)
                count += 1
            if request.cancelled:
                request.fail("ERR_ABORTED", origin=2)
            else:
                request.reply(str(count).encode())
        elif method == b"numbers":
            i = 0
            while request.write(str(i).encode()):
                i += 1
            request.reply(b"stopped")
        elif method == b"first":
            item = request.read()
            request.stop()
            request.reply(item)
        elif method == b"hold":
            while not request.cancelled:
                peer.pump()
            request.fail("ERR_ABORTED", origin=2)
        elif method == b"throw":
            request.fail("E_NO", "because", b"data")
        elif method == b"call back":
            request.reply(peer.request(b"and you?").wait()[2])
        elif method == b"together":
            peer.say_together([(0, 0, b"one"), (0, 0, b"two"), (request.number, REPLY, b"three")])
            request.result = (REPLY, {}, b"three")

    peer = Peer(sock, False, psk, on_request=answer, on_message=lambda head, body: messages.append(body), **OPTIONS)
    while peer.drained is None:
        peer.pump()
    peer.close()
    print(json.dumps({"ok": True, "messages": len(messages)}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        client(int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
    else:
        server(bytes.fromhex(sys.argv[2]))
