"""A program's own classes, of every kind that users define: what they make must load under the guard."""
import collections
import dataclasses
import enum
import functools
import typing


class Plain:
    def __init__(self, a=1):
        self.a = a

    def method(self):
        return self.a


class Slots:
    __slots__ = ("a",)

    def __init__(self):
        self.a = 1


class SelfMade:
    def __init__(self, a):
        self.a = a

    def __reduce__(self):
        return SelfMade, (self.a,)

    def __setstate__(self, state):
        self.state = state


class Arguments:
    def __new__(cls, a):
        self = super().__new__(cls)
        self.a = a
        return self

    def __getnewargs__(self):
        return (self.a,)


class KeywordArguments(Arguments):
    def __new__(cls, *, a):
        return super().__new__(cls, a)

    def __getnewargs_ex__(self):
        return (), {"a": self.a}


class Outer:
    class Inner:
        pass

    class Colour(enum.Enum):
        RED = 1


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Bits(enum.Flag):
    A = 1
    B = 2


class Text(str, enum.Enum):
    A = "a"


class Failure(Exception):
    def __init__(self, code, text=""):
        super().__init__(code, text)


@dataclasses.dataclass
class Record:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: int = 1


Point = collections.namedtuple("Point", "x y")


class Typed(typing.NamedTuple):
    x: int = 1


class OwnDict(dict):
    pass


class OwnList(list):
    pass


class OwnInt(int):
    pass


class OwnStr(str):
    pass


class OwnSet(set):
    pass


class OwnOrdered(collections.OrderedDict):
    pass


class OwnTuple(tuple):
    pass


class OwnBytes(bytes):
    pass


def own_function(x):
    return x


def values():
    yield "plain", Plain()
    yield "slots", Slots()
    yield "self_made", SelfMade(1)
    yield "arguments", Arguments(1)
    yield "keyword_arguments", KeywordArguments(a=1)
    yield "inner", Outer.Inner()
    yield "inner_enum", Outer.Colour.RED
    yield "enums", [Colour.RED, Number.ONE, Bits.A, Bits.A | Bits.B, Text.A]
    yield "failure", Failure(1, "x")
    yield "dataclasses", [Record(), Frozen()]
    yield "tuples", [Point(1, 2), Typed()]
    yield "subclasses", [OwnDict(a=1), OwnList([1]), OwnInt(1), OwnStr("a"), OwnSet([1]), OwnOrdered(a=1),
                         OwnTuple([1]), OwnBytes(b"a")]
    yield "functions", [own_function, functools.partial(own_function, 1), Plain().method, Plain]
    yield "factory", collections.defaultdict(Plain)
