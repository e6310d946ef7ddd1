"""What do CPython's own unpicklers resolve, create and call? The measure of guard's pickle machine.

Every name resolves to a stand-in class that writes down what is done to it, so no stream can do anything.

    pickle_oracle.py FILE      a line a stream in hex: prints a line a stream, the JSON of both()
"""
import io
import json
import pickle
import random
import resource
import sys

MEMORY = 2 << 30  # bytes; an index or a length of a random stream can ask for more


class Log(list):
    pass


def canonical(module, name):
    def half(text):
        return "".join(f"\\x{ord(c):02x}" if ord(c) < 0x20 or c in ":\\\x7f" else c for c in text)
    return f"{half(module)}{':' if '.' in name else '.'}{half(name)}"


class Thing:
    """An instance of a stand-in: takes any state, any item."""
    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def add(self, item):
        pass


def stand_in(log, cache, module, name):
    key = canonical(module, name)
    if key in cache:
        return cache[key]

    class Meta(type):
        def __call__(cls, *arguments, **keywords):
            log.append(("call", key))
            return object.__new__(cls)

        def __getattr__(cls, attribute):
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            log.append(("import", canonical(module, f"{name}.{attribute}")))
            return stand_in(log, cache, module, f"{name}.{attribute}")

        def __setattr__(cls, attribute, value):
            log.append(("call", key))

        def __setitem__(cls, index, value):
            log.append(("call", key))

        def __setstate__(cls, state):
            log.append(("call", key))

    def create(cls, *arguments, **keywords):
        log.append(("create", key))
        return object.__new__(cls)

    def call(self, *arguments, **keywords):
        log.append(("call", "?"))
        return Thing()

    def change(self, *arguments):
        log.append(("call", key))

    made = Meta("StandIn", (Thing,), {"__new__": create, "__call__": call})
    for method in ("append", "extend", "add"):
        type.__setattr__(made, method, Method(log, key))
    cache[key] = made
    return made


class Method:
    """append and the like: ordinary on instances, a change of something not made by the stream on the class itself."""
    def __init__(self, log, key):
        self.log, self.key = log, key

    def __get__(self, instance, owner):
        if instance is None:
            return lambda *_: self.log.append(("call", self.key))
        return lambda *_: None


def run(base, data):
    """(log, finished): what `base`, an Unpickler class, does with `data`."""
    log, cache = Log(), {}

    class Unpickler(base):
        def find_class(self, module, name):
            log.append(("import", canonical(module, name)))
            if (module, name) in (("builtins", "getattr"), ("__builtin__", "getattr")):
                def attribute(*arguments):
                    log.append(("call", canonical(module, name)))
                    return getattr(*arguments)
                return attribute
            return stand_in(log, cache, module, name)

        def persistent_load(self, pid):
            return Thing()

        def get_extension(self, code):
            return super().get_extension(code)

    try:
        Unpickler(io.BytesIO(data), buffers=[b"x"] * 10).load()
        return log, True
    except RecursionError:
        raise
    except Exception:
        return log, False


def both(data):
    """[(log, finished)] of the C unpickler and of the Python one."""
    return [run(pickle.Unpickler, data), run(pickle._Unpickler, data)]


NAMES = [("os", "system"), ("m", "C"), ("m", "D"), ("a.b", "c"), ("m", "f"), ("n", "x.y"),
         ("__builtin__", "set"), ("m", "E")]
TEXTS = ["os", "system", "m", "C", "x.y", "extend", "append", "add", "__setstate__", "k", "", "a long text", "f",
         "\u00e9"]


class Writer:
    """Writes one random value after another, each in one of the many ways in which opcodes can spell it."""
    def __init__(self, rng):
        self.rng, self.out, self.memo = rng, bytearray(), {}

    def put(self, raw):
        self.out += raw

    def text(self):
        rng, text = self.rng, self.rng.choice(TEXTS)
        raw, plain = text.encode(), text.isascii()
        choice = rng.randrange(6)
        if choice == 0 and plain:
            self.put(b"U" + bytes([len(raw)]) + raw)
        elif choice == 1:
            self.put(b"X" + len(raw).to_bytes(4, "little") + raw)
        elif choice == 2:
            self.put(b"V" + "".join(f"\\u{ord(c):04x}" if rng.random() < .3 else c for c in text).encode("latin1") +
                     b"\n")
        elif choice == 3 and plain:
            self.put(b"S'" + b"".join(b"\\x%02x" % c if rng.random() < .3 else bytes([c]) for c in raw) + b"'\n")
        elif choice == 4:
            self.put(b"\x8d" + len(raw).to_bytes(8, "little") + raw)
        else:
            self.put(b"\x8c" + bytes([len(raw)]) + raw)

    def name(self):
        rng, (module, name) = self.rng, self.rng.choice(NAMES)
        if rng.random() < .2:
            for half in module, name:
                self.put(b"\x8c" + bytes([len(half)]) + half.encode())
                self.remember(half)
            self.put(b"\x93")
        else:
            self.put(b"c" + module.encode() + b"\n" + name.encode() + b"\n")
        self.remember("name")

    def remember(self, kind):
        rng = self.rng
        if rng.random() < .6:
            return
        index = rng.choice([rng.randrange(8), rng.randrange(256)])
        choice = rng.randrange(4)
        if choice == 0:
            index = len(self.memo)
            self.put(b"\x94")
        else:
            self.put([b"q" + bytes([index]), b"r" + index.to_bytes(4, "little"), b"p0_0%d\n" % index][choice - 1])
        self.memo[index] = kind

    def recall(self, kinds):
        rng = self.rng
        found = [index for index, kind in self.memo.items() if kind in kinds]
        if not found:
            return False
        index = rng.choice(found)
        self.put(rng.choice([b"h" + bytes([index]) if index < 256 else b"g%d\n" % index,
                             b"j" + index.to_bytes(4, "little"),
                             b"g %d\n" % index]))
        return True

    def plain(self):
        self.put(self.rng.choice([b"N", b"\x88", b"K\x05", b"I0x10\n", b"I01\n", b"L5L\n", b"F1.5\n", b"G" + bytes(8),
                                  b"M\1\1",
                                  b"\x8a\x01\x05", b"J\xff\xff\xff\xff", b"C\x03abc", b"\x96\x02" + bytes(7) + b"xy",
                                  b"B\1\0\0\0x", b"L0x10L\n"]))

    def items(self, depth, most=4):
        for _ in range(self.rng.randrange(most)):
            self.value(depth)

    def arguments(self, depth):
        rng = self.rng
        choice = rng.randrange(6)
        if choice == 0:
            self.put(b")")
        elif choice < 4:
            for _ in range(choice):
                self.value(depth)
            self.put(bytes([0x84 + choice]))
        elif choice == 4 or not self.recall(["tuple"]):
            self.put(b"(")
            self.items(depth)
            self.put(b"t")
        self.remember("tuple")

    def dictionary(self, depth):
        rng = self.rng
        if rng.random() < .3:
            self.put(b"(")
            for _ in range(rng.randrange(3)):
                self.text()
                self.value(depth)
            self.put(b"d")
        else:
            self.put(b"}")
            self.remember("dict")
            for _ in range(rng.randrange(3)):
                if rng.random() < .5:
                    self.text()
                    self.value(depth)
                    self.put(b"s")
                else:
                    self.put(b"(")
                    for _ in range(rng.randrange(3)):
                        self.text()
                        self.value(depth)
                    self.put(b"u")

    def change(self, depth):
        """Something done to the object on top of the stack."""
        rng = self.rng
        choice = rng.randrange(7)
        if choice < 2:
            if rng.random() < .7:
                self.dictionary(depth)
            else:
                self.put(b"N" if rng.random() < .5 else b"}")
                self.dictionary(depth)
                self.put(b"\x86")
            self.put(b"b")
        elif choice == 2:
            self.value(depth)
            self.put(b"a")
        elif choice == 3:
            self.put(b"(")
            self.items(depth)
            self.put(b"e")
        elif choice == 4:
            self.put(b"(")
            self.items(depth)
            self.put(b"\x90")
        elif choice == 5:
            self.text()
            self.value(depth)
            self.put(b"s")
        else:
            self.put(b"(")
            self.text()
            self.value(depth)
            self.put(b"u")

    def made(self, depth):
        rng = self.rng
        choice = rng.randrange(8)
        if choice < 3:
            self.recall(["name"]) or self.name()
            self.arguments(depth)
            self.put(b"R")
        elif choice == 3:
            self.recall(["name"]) or self.name()
            self.arguments(depth)
            self.put(b"\x81")
        elif choice == 4:
            self.name()
            self.arguments(depth)
            self.put(b"}")
            for _ in range(rng.randrange(2)):
                self.put(b"\x8c\x01k")
                self.value(depth)
                self.put(b"s")
            self.put(b"\x92")
        elif choice == 5:
            self.put(b"(")
            self.name()
            self.items(depth)
            self.put(b"o")
        elif choice == 6:
            self.put(b"(")
            self.items(depth)
            self.put(b"im\nInst\n")
        else:
            self.put(b"cbuiltins\ngetattr\n")
            self.name()
            self.put(rng.choice([b"\x8c\x04attr", b"X\x04\0\0\0attr"]) + b"\x86R")
            self.remember("name")
            return
        self.remember("object")
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            self.change(depth)

    def value(self, depth):
        rng = self.rng
        choice = rng.random() if depth < 4 else rng.random() * .5
        if choice < .2:
            self.plain()
        elif choice < .35:
            self.text()
        elif choice < .45:
            self.name()
        elif choice < .55:
            self.recall(["name", "object", "dict", "list", "tuple", "set"]) or self.plain()
        elif choice < .62:
            self.arguments(depth + 1)
        elif choice < .68:
            self.dictionary(depth + 1)
        elif choice < .74:
            self.put(b"]")
            self.remember("list")
            self.put(b"(")
            self.items(depth + 1)
            self.put(b"e")
            if rng.random() < .3:
                self.value(depth + 1)
                self.put(b"a")
        elif choice < .77:
            self.put(b"(")
            self.items(depth + 1)
            self.put(rng.choice([b"l", b"t"]))
        elif choice < .80:
            self.put(rng.choice([b"\x8f", b"(\x91"]))
        else:
            self.made(depth + 1)
        if rng.random() < .05:
            self.aside(depth)

    def aside(self, depth):
        """Something that leaves the stack as it was."""
        rng = self.rng
        choice = rng.randrange(6)
        if choice == 0:
            self.put(b"20")
        elif choice == 1:
            self.put(b"(" + b"N" * rng.randrange(3) + b"1")
        elif choice == 2:
            self.put(b"\x80" + bytes([rng.randrange(6)]))
        elif choice == 3:
            self.put(b"(0")
        elif choice == 4:
            self.value(depth + 1)
            self.put(b"0")
        else:
            self.name()
            self.change(depth + 1)
            self.put(b"0")


def random_stream(seed):
    """Most of them are executed to the end; some were damaged."""
    rng = random.Random(seed)
    writer = Writer(rng)
    proto = rng.choice([0, 1, 2, 3, 4, 5, None])
    if proto is not None:
        writer.put(b"\x80" + bytes([proto]))
    framed = rng.random() < .15
    for _ in range(rng.randrange(1, 5)):
        start = len(writer.out)
        writer.value(0)
        if framed:
            # Now and then a frame ends somewhere within.
            length = len(writer.out) - start if rng.random() < .5 else rng.randrange(len(writer.out) - start + 1)
            writer.out[start:start] = b"\x95" + length.to_bytes(8, "little")
    writer.put(b".")
    # Not where damage could make an index or a length for which the unpicklers take gigabytes.
    if rng.random() < .1 and not any(op in writer.out for op in b"r\x96"):
        at = rng.randrange(len(writer.out))
        writer.out[at:at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(3)))
    return bytes(writer.out)


def main():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with open(sys.argv[1]) as streams:
        for line in streams:
            print(json.dumps(both(bytes.fromhex(line))))


if __name__ == "__main__":
    main()
