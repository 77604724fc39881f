"""A peer of protocol v2 in Python, written from docs/PROTOCOL.md alone: what the page does not say, this does not know.

It needs the package `cryptography` and speaks the patterns NNpsk0 and NNhfs+psk0 (ML-KEM-768 where the package has it),
with both ciphers, in both roles. It is no library: one connection, one thread, whose reads happen where something is
waited for. It refuses what the page calls a protocol error, so that it also tests what this package sends.
"""

import hashlib
import hmac
import socket
import struct
from collections import deque

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

MESSAGE, REPLY, ERROR, CANCEL, PING, PONG, DRAIN, CLOSE, BUNDLE, SETTINGS = range(10)
CALL, ANSWER, CHUNK, END, STOP, CREDIT, BLOCKED = range(10, 17)
PADDED = 0x80
NOT_BEGUN = 1
FRAMES_PER_KEY = 65_536
BASE_FRAME, BASE_CREDIT, FIRST_STREAM_CREDIT = 65_536, 262_144, 16_384
LONGEST_CHUNK = 65_515
MAX_CREDIT = 2**31 - 1


class ProtocolError(Exception):
    """What can't have been right."""


def check(right, text):
    if not right:
        raise ProtocolError(text)


# ---- Noise ------------------------------------------------------------------------------------------------


def hkdf(chaining_key, material, count):
    """Section 4.3 of Noise, with HMAC of BLAKE2b."""
    secret = hmac.new(chaining_key, material, hashlib.blake2b).digest()
    outputs, last = [], b""
    for i in range(1, count + 1):
        last = hmac.new(secret, last + bytes([i]), hashlib.blake2b).digest()
        outputs.append(last)
    return outputs


class Cipher:
    """A CipherState: a key and its counter, and the changes of the key in the transport."""

    def __init__(self, key, chacha):
        self.chacha = chacha
        self.counter = 0
        self.use(key)

    def use(self, key):
        self.aead = (ChaCha20Poly1305 if self.chacha else AESGCM)(key)

    def nonce(self, n):
        return bytes(4) + struct.pack("<Q" if self.chacha else ">Q", n)

    def step(self):
        n, self.counter = self.counter, self.counter + 1
        return self.nonce(n)

    def encrypt(self, plaintext, data=b""):
        return self.aead.encrypt(self.step(), plaintext, data)

    def decrypt(self, sealed, data=b""):
        return self.aead.decrypt(self.step(), sealed, data)

    def changed(self):
        """After every 65,536 frames: Rekey of section 11.3."""
        if self.counter % FRAMES_PER_KEY == 0:
            self.use(self.aead.encrypt(self.nonce(2**64 - 1), bytes(32), b"")[:32])


class Handshake:
    """NNpsk0, or NNhfs+psk0."""

    def __init__(self, initiator, psk, hybrid, chacha, prologue=b""):
        name = f"Noise_NN{'hfs+' if hybrid else ''}psk0_25519{'+MLKEM768' if hybrid else ''}_{'ChaChaPoly' if chacha else 'AESGCM'}_BLAKE2b"
        self.initiator, self.psk, self.hybrid, self.chacha = initiator, psk, hybrid, chacha
        self.hash = self.chaining_key = name.encode().ljust(64, b"\0")
        self.cipher = None
        self.mix_hash(b"sealwire/2" + prologue)
        self.private = X25519PrivateKey.generate()
        public = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        self.public = self.private.public_key().public_bytes(*public)

    def mix_hash(self, data):
        self.hash = hashlib.blake2b(self.hash + data).digest()

    def mix_key(self, material):
        self.chaining_key, key = hkdf(self.chaining_key, material, 2)
        self.cipher = Cipher(key[:32], self.chacha)

    def mix_psk(self):
        self.chaining_key, hashed, key = hkdf(self.chaining_key, self.psk, 3)
        self.mix_hash(hashed)
        self.cipher = Cipher(key[:32], self.chacha)

    def seal(self, plaintext):
        sealed = self.cipher.encrypt(plaintext, self.hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed):
        plaintext = self.cipher.decrypt(sealed, self.hash)
        self.mix_hash(sealed)
        return plaintext

    def e(self, public):
        self.mix_hash(public)
        self.mix_key(public)

    def ee(self, public):
        self.mix_key(self.private.exchange(X25519PublicKey.from_public_bytes(public)))

    def lengths(self):
        """Of the client's message, and of the server's."""
        return (1248, 1152) if self.hybrid else (48, 48)

    def write_first(self):
        self.mix_psk()
        self.e(self.public)
        e1 = b""
        if self.hybrid:
            from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

            self.decapsulation = MLKEM768PrivateKey.generate()
            e1 = self.seal(self.decapsulation.public_key().public_bytes_raw())
        return self.public + e1 + self.seal(b"")

    def read_first(self, message):
        self.mix_psk()
        self.e(message[:32])
        self.remote, at = message[:32], 32
        if self.hybrid:
            from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

            at += 1184 + 16
            self.encapsulation = MLKEM768PublicKey.from_public_bytes(self.open(message[32:at]))
        check(self.open(message[at:]) == b"", "a handshake payload")

    def write_second(self):
        self.e(self.public)
        self.ee(self.remote)
        ekem1 = b""
        if self.hybrid:
            secret, ciphertext = self.encapsulation.encapsulate()
            ekem1 = self.seal(ciphertext)
            self.mix_key(secret)
        return self.public + ekem1 + self.seal(b"")

    def read_second(self, message):
        self.e(message[:32])
        self.ee(message[:32])
        at = 32
        if self.hybrid:
            at += 1088 + 16
            ciphertext = self.open(message[32:at])
            self.mix_key(self.decapsulation.decapsulate(ciphertext))
        check(self.open(message[at:]) == b"", "a handshake payload")

    def split(self):
        """The ciphers to send and to receive with."""
        first, second = (Cipher(key[:32], self.chacha) for key in hkdf(self.chaining_key, b"", 2))
        return (first, second) if self.initiator else (second, first)


# ---- Bodies -----------------------------------------------------------------------------------------------


def encode_fields(fields):
    return b"".join(struct.pack(">BH", tag, len(value)) + value for tag, value in sorted(fields.items()))


def decode_fields(data):
    fields, at, before = {}, 0, -1
    while at < len(data):
        check(at + 3 <= len(data), "a field that is cut")
        tag, length = struct.unpack_from(">BH", data, at)
        at += 3
        check(tag > before and at + length <= len(data), "fields out of order, or cut")
        fields[tag], before = data[at : at + length], tag
        at += length
    return fields


def encode_error(origin, code, text="", data=b""):
    code, text = code.encode(), text.encode()
    return bytes([origin, len(code)]) + code + struct.pack(">H", len(text)) + text + data


def decode_error(body):
    """What is missing at the end is empty."""
    origin, n = (body + bytes(2))[:2]
    code, at = body[2 : 2 + n].decode(), 2 + n
    m = struct.unpack(">H", (body[at : at + 2] + bytes(2))[:2])[0]
    return {"origin": min(origin, 2), "code": code, "text": body[at + 2 : at + 2 + m].decode(), "data": body[at + 2 + m :]}


def u32(value):
    return struct.pack(">I", value)


def read_u32(value, what):
    check(len(value) == 4, f"{what} that is no u32be")
    return struct.unpack(">I", value)[0]


# ---- Calls ------------------------------------------------------------------------------------------------


class Request:
    """A request of either side, with what of its streams this side sends and receives."""

    def __init__(self, peer, number, own):
        self.peer, self.number, self.own = peer, number, own
        self.head, self.body = {}, b""
        self.result = None  # (kind, head, body) of its end
        self.cancelled = False
        # What this side streams: its balance, None where it may not.
        self.balance, self.stopped, self.ended, self.said_blocked = None, False, False, False
        # What the other side streams: what it may still send, and what has come of it.
        self.allowance, self.items, self.part = None, deque(), b""
        self.their_end, self.inside, self.discarding = False, False, False
        # What its chunks cost: those of an item that is not complete, those of them that were taken, and what is owed.
        self.part_cost, self.owed_parts, self.owed = 0, 0, 0

    @property
    def over(self):
        return self.result is not None

    def write(self, item):
        """Sends an item, in as many chunks as the credit wants. False when the other side wants no more."""
        at = 0
        while True:
            while self.balance <= 0 and not (self.stopped or self.over or self.cancelled):
                if not self.said_blocked:
                    self.peer.say(self.number, BLOCKED)
                    self.said_blocked = True
                self.peer.pump()
            if self.stopped or self.over or self.cancelled:
                return False
            length = min(len(item) - at, LONGEST_CHUNK - 1, max(self.balance - 64, 1))
            goes_on = at + length < len(item)
            self.balance -= 64 + length
            self.peer.say(self.number, CHUNK, bytes([1 if goes_on else 0]) + item[at : at + length])
            at += length
            if not goes_on:
                return True

    def end(self):
        if not self.ended and not self.over:
            self.ended = True
            self.peer.say(self.number, END)

    def read(self):
        """The next item of the other side, or None when there is none any more. Gives credit for what was taken."""
        while not self.items and not self.their_end and not self.over and not self.cancelled:
            self.give(self.owed_parts, True)
            self.owed_parts = 0
            self.peer.pump()
        if not self.items:
            return None
        item, cost = self.items.popleft()
        self.give(cost, False)
        return item

    def give(self, cost, all_of_it):
        self.owed += cost
        enough = self.owed * 2 >= FIRST_STREAM_CREDIT or self.allowance <= 0
        if self.owed > 0 and (enough or all_of_it) and not self.their_end and not self.over:
            self.peer.say(self.number, CREDIT, u32(self.owed))
            self.allowance += self.owed
            self.owed = 0

    def stop(self):
        self.discarding = True
        self.peer.say(self.number, STOP)

    def cancel(self):
        self.cancelled = True
        self.peer.say(self.number, CANCEL, encode_fields({1: b"ERR_ABORTED"}))

    def receive(self, body):
        check(self.allowance is not None, "a chunk in a direction that no head opened")
        check(1 <= len(body) <= LONGEST_CHUNK, "a chunk of that length")
        check(self.allowance > 0, "a chunk without credit")
        cost = 64 + len(body) - 1
        self.allowance -= cost
        if self.over or self.cancelled:
            return
        check(not self.their_end, "a chunk behind an end")
        if self.discarding:
            self.give(cost, False)
            return
        self.part += body[1:]
        self.inside = bool(body[0] & 1)
        self.part_cost += cost
        if self.inside:
            # Whoever waits for the rest has taken what is here.
            self.owed_parts, self.part_cost = self.owed_parts + self.part_cost, 0
        else:
            self.items.append((self.part, self.part_cost))
            self.part, self.part_cost = b"", 0

    def wait(self):
        """The request's end: (kind, head, body)."""
        while not self.over:
            self.peer.pump()
        return self.result

    # As the one who answers.

    def reply(self, body, head=None):
        if head is None:
            self.finish(REPLY, body)
        else:
            fields = encode_fields(head)
            self.finish(ANSWER, struct.pack(">H", len(fields)) + fields + body)

    def fail(self, code, text="", data=b"", origin=0):
        self.finish(ERROR, encode_error(origin, code, text, data))

    def finish(self, kind, body):
        self.result = (kind, {}, body)
        self.peer.say(self.number, kind, body)


class Peer:
    """One connection. `on_request(request)` and `on_message(head, body)` are called from `pump`."""

    def __init__(self, sock, initiator, psk, *, hybrid=True, chacha=False, padding=0, on_request=None, on_message=None):
        self.sock, self.initiator, self.padding = sock, initiator, padding
        self.on_request, self.on_message = on_request, on_message
        self.handshake = Handshake(initiator, psk, hybrid, chacha)
        self.suite = (1 if hybrid else 0) | (2 if chacha else 0)
        self.own, self.theirs = {}, {}
        self.next_number = 1 if initiator else 2
        self.last_arrived = 0
        # Their settings, and before those arrive what everybody takes.
        self.frame_limit, self.request_limit, self.stream_limit = BASE_FRAME, 128, 128
        self.balance, self.allowance, self.owed = BASE_CREDIT, BASE_CREDIT, 0
        self.settings_read = self.blocked_said = False
        self.drained, self.closed, self.said_drain = None, None, False
        self.pongs, self.kinds_ignored, self.ended = [], 0, False
        self.records = deque()  # of the last frame, that nobody has handled
        self.shake()

    # ---- Frames -------------------------------------------------------------------------------------------

    def read_exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                check(data == b"", "a stream that was cut within a frame")
                return None
            data += more
        return data

    def read_message(self, length, first):
        header = self.read_exactly(4)
        check(header is not None, "the connection ended in the handshake")
        expected = struct.pack(">HH", self.suite, length) if first else u32(length)
        check(header == expected, f"a handshake frame that begins with {header.hex()}")
        return self.read_exactly(length)

    def shake(self):
        first, second = self.handshake.lengths()
        if self.initiator:
            self.sock.sendall(struct.pack(">HH", self.suite, first) + self.handshake.write_first())
            self.handshake.read_second(self.read_message(second, False))
        else:
            self.handshake.read_first(self.read_message(first, True))
            self.sock.sendall(u32(second) + self.handshake.write_second())
        self.to_send, self.to_open = self.handshake.split()
        self.say(0, SETTINGS)
        # The side that wrote the last message says nothing more before the other one is proven.
        while not self.initiator and not self.settings_read:
            self.pump()

    def say(self, number, kind, body=b""):
        self.send_plaintext(struct.pack(">IB", number, kind) + body)

    def say_together(self, records):
        """As a bundle."""
        entries = [struct.pack(">IIB", 5 + len(body), number, kind) + body for number, kind, body in records]
        self.send_plaintext(struct.pack(">IB", 0, BUNDLE) + b"".join(entries))

    def send_plaintext(self, plaintext):
        if self.padding:
            zeros = -(len(plaintext) + 2) % self.padding
            plaintext = plaintext[:4] + bytes([plaintext[4] | PADDED]) + plaintext[5:] + bytes(zeros) + struct.pack(">H", zeros + 2)
        check(len(plaintext) + 16 <= self.frame_limit, "a frame that the other side does not take")
        sealed = self.to_send.encrypt(plaintext)
        self.to_send.changed()
        self.sock.sendall(u32(len(sealed)) + sealed)

    def pump(self):
        """Handles one record: the next of the last frame, or the first of the next frame."""
        if self.records:
            self.handle(*self.records.popleft())
            return
        check(not self.ended, "the connection has ended")
        header = self.read_exactly(4)
        if header is None:
            self.ended = True
            check(self.closed is not None, "a stream that ends without a close")
            return
        length = read_u32(header, "a length")
        check(21 <= length <= BASE_FRAME, f"a frame of {length} bytes")
        plaintext = self.to_open.decrypt(self.read_exactly(length))
        self.to_open.changed()
        number, kind = struct.unpack_from(">IB", plaintext)
        body = plaintext[5:]
        if kind & PADDED:
            kind &= ~PADDED
            check(len(body) >= 2, "padding that is cut")
            padding = struct.unpack(">H", body[-2:])[0]
            check(2 <= padding <= len(body), "padding of that length")
            body = body[: len(body) - padding]
        if not self.settings_read:
            check((number, kind) == (0, SETTINGS) and len(body) <= 1024, "another first frame than settings")
            self.read_settings(decode_fields(body))
            return
        if kind != BUNDLE:
            self.handle(number, kind, body)
            return
        check(body != b"", "an empty bundle")
        at = 0
        while at < len(body):
            check(at + 9 <= len(body), "an entry that is cut")
            n, number, kind = struct.unpack_from(">IIB", body, at)
            check(n >= 5 and at + 4 + n <= len(body), "an entry of that length")
            check(kind not in (BUNDLE, SETTINGS), "such a record in a bundle")
            self.records.append((number, kind, body[at + 9 : at + 4 + n]))
            at += 4 + n
        self.pump()

    def read_settings(self, fields):
        self.settings_read = True
        values = {tag: read_u32(value, "a setting") for tag, value in fields.items() if tag <= 4}
        check(not any(64 <= tag < 128 for tag in fields), "a critical setting")
        self.frame_limit = min(max(values.get(1, 0), BASE_FRAME), 2**25)
        self.request_limit = max(values.get(2, 0), 128)
        self.stream_limit = max(values.get(3, 0), 128)
        self.balance += max(min(values.get(4, 0), MAX_CREDIT), BASE_CREDIT) - BASE_CREDIT

    # ---- Records ------------------------------------------------------------------------------------------

    def handle(self, number, kind, body):
        check(self.closed is None, "a record behind a close")
        if kind in (MESSAGE, CALL):
            self.arrived(number, kind, body)
        elif kind in (REPLY, ANSWER, ERROR):
            self.answered(number, kind, body)
        elif kind == CANCEL:
            decode_fields(body)
            request = self.known(number, own=False)
            if request is not None and not request.over:
                request.cancelled = True
        elif kind in (PING, PONG):
            if kind == PING:
                self.say(number, PONG)
            else:
                self.pongs.append(number)
        elif kind == DRAIN:
            self.drained = decode_fields(body)
        elif kind == CLOSE:
            self.closed = decode_fields(body)
        elif CHUNK <= kind <= BLOCKED:
            self.stream_record(number, kind, body)
        else:
            check(64 <= kind <= 127, f"kind {kind}")
            self.kinds_ignored += 1

    def known(self, number, own=None):
        """The request of that number; None if it is over."""
        is_own = number % 2 == (1 if self.initiator else 0)
        check(number != 0 and (own is None or own == is_own), f"a request of number {number}")
        table = self.own if is_own else self.theirs
        check(number in table, f"request {number} was never made")
        return table[number]

    def arrived(self, number, kind, body):
        cost = 64 + len(body)
        check(self.allowance > 0, "a message without credit")
        self.allowance -= cost
        head = {}
        if kind == CALL:
            check(len(body) >= 2, "a call without a head")
            n = struct.unpack_from(">H", body)[0]
            check(2 + n <= len(body), "a head that is cut")
            head, body = body[2 : 2 + n], body[2 + n :]
        if number == 0:
            self.begun(cost)
            self.on_message(decode_fields(head) if head else {}, body)
            return
        check(number % 2 == (0 if self.initiator else 1), "a request with a number of this side's")
        check(number not in self.theirs or self.theirs[number].over, "a number that is in use")
        request = self.theirs[number] = Request(self, number, own=False)
        self.last_arrived = number
        request.body = body
        try:
            request.head = decode_fields(head) if head else {}
            critical = next((tag for tag in request.head if 64 <= tag < 128), None)
            check(critical is None, f"an unknown critical field {critical}")
            if 6 in request.head:
                request.balance = read_u32(request.head[6], "a credit")
                check(request.balance <= MAX_CREDIT, "a credit above the most")
            if 5 in request.head:
                check(request.head[5] == b"", "a field with a value")
                request.allowance = FIRST_STREAM_CREDIT
            check(1 not in request.head or read_u32(request.head[1], "a deadline") > 0, "too late")
        except ProtocolError as error:
            request.fail("ERR_UNSUPPORTED", str(error), origin=NOT_BEGUN)
            self.begun(cost)
            return
        self.begun(cost)
        self.on_request(request)

    def begun(self, cost):
        self.owed += cost
        if self.owed * 2 >= BASE_CREDIT or self.allowance <= 0:
            self.say(0, CREDIT, u32(self.owed))
            self.allowance += self.owed
            self.owed = 0

    def answered(self, number, kind, body):
        request = self.known(number, own=True)
        check(not request.over, "a second end of a request")
        check(not request.inside or request.cancelled or kind == ERROR or request.discarding, "an end within an item")
        head = {}
        if kind == ANSWER:
            check(len(body) >= 2, "an answer without a head")
            n = struct.unpack_from(">H", body)[0]
            check(2 + n <= len(body), "a head that is cut")
            head, body = decode_fields(body[2 : 2 + n]), body[2 + n :]
        request.result = (kind, head, decode_error(body) if kind == ERROR else body)

    def stream_record(self, number, kind, body):
        if number == 0 and kind in (CREDIT, BLOCKED):
            if kind == CREDIT:
                self.balance = self.more(self.balance, body)
                self.blocked_said = False
            return
        request = self.known(number)
        if kind == CHUNK:
            request.receive(body)
        elif kind == END:
            check(request.allowance is not None, "an end in a direction that no head opened")
            check(request.over or request.cancelled or not request.their_end, "a second end")
            request.their_end = True
        elif kind == STOP:
            request.stopped = True
            if request.balance is not None and not request.over and not request.cancelled:
                request.end()
        elif kind == CREDIT:
            if request.balance is not None:
                request.balance = self.more(request.balance, body)
                request.said_blocked = False

    def more(self, balance, body):
        increment = read_u32(body, "an increment")
        check(0 < increment and balance + increment <= MAX_CREDIT, "credit of that sum")
        return balance + increment

    # ---- What the application does -----------------------------------------------------------------------

    def pay(self, cost):
        while self.balance <= 0:
            if not self.blocked_said:
                self.blocked_said = True
                self.say(0, BLOCKED)
            self.pump()
        self.balance -= cost

    def send(self, body, head=None):
        self.paid(0, body, head)

    def paid(self, number, body, head):
        if head is not None:
            fields = encode_fields(head)
            body = struct.pack(">H", len(fields)) + fields + body
        self.pay(64 + len(body))
        self.say(number, MESSAGE if head is None else CALL, body)

    def request(self, body, head=None):
        """A request, with a head a call. Tags 5 and 6 of the head open its streams."""
        while sum(not request.over for request in self.own.values()) >= self.request_limit:
            self.pump()
        number, self.next_number = self.next_number, self.next_number + 2
        request = self.own[number] = Request(self, number, own=True)
        if head is not None and 5 in head:
            request.balance = FIRST_STREAM_CREDIT
        if head is not None and 6 in head:
            request.allowance = read_u32(head[6], "a credit")
        self.paid(number, body, head)
        return request

    def ping(self, number):
        self.say(number, PING)
        while number not in self.pongs:
            self.pump()

    def say_drain(self):
        if not self.said_drain:
            self.said_drain = True
            self.say(0, DRAIN)

    def close(self):
        """Says drain, hears it, says close, hears it, and the end of the stream."""
        self.say_drain()
        while self.drained is None and self.closed is None:
            self.pump()
        for request in self.own.values():
            if not request.cancelled and self.closed is None:
                request.wait()
        self.say(0, CLOSE, encode_fields({3: u32(self.last_arrived)}))
        self.sock.shutdown(socket.SHUT_WR)
        while not self.ended:
            self.pump()
        self.sock.close()


def connect(port, psk, **options):
    return Peer(socket.create_connection(("127.0.0.1", port), timeout=20), True, psk, **options)
