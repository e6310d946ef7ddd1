"""Program texts: the classes that people write, pickle at every protocol and load again."""

# Written into __main__ and into modules.
CLASSES = '''
import abc, collections, dataclasses, enum, functools, typing


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Kind(str, enum.Enum):
    TEXT = "text"


@dataclasses.dataclass
class Config:
    name: str = "model"
    sizes: typing.List[int] = dataclasses.field(default_factory=lambda: [1, 2])
    colour: Colour = Colour.RED


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: int = 3


class OwnError(ValueError):
    def __init__(self, message, code):
        super().__init__(message, code)
        self.code = code


class Plain:
    def __init__(self, scale=2.0):
        self.scale = scale

    def apply(self, x):
        return x * self.scale


class Slots:
    __slots__ = ("left", "right")

    def __init__(self):
        self.left, self.right = 1, 2


class WithState:
    def __init__(self):
        self.cache = {"a": 1}

    def __getstate__(self):
        return {"kept": list(self.cache)}

    def __setstate__(self, state):
        self.cache = dict.fromkeys(state["kept"], 0)


def rebuild(a, b):
    return WithReduce(a, b)


class WithReduce:
    def __init__(self, a, b):
        self.pair = (a, b)

    def __reduce__(self):
        return rebuild, self.pair


class WithNew:
    def __new__(cls, size):
        self = super().__new__(cls)
        self.size = size
        return self

    def __getnewargs__(self):
        return (self.size,)


class Bag(dict):
    pass


class Row(list):
    def __init__(self, items=()):
        super().__init__(items)
        self.note = "row"


class Number(float):
    pass


Point = collections.namedtuple("Point", "x y")


class Typed(typing.NamedTuple):
    x: int
    y: str = "y"


class Base(abc.ABC):
    @abc.abstractmethod
    def run(self):
        pass


class Derived(Base):
    def __init__(self):
        self.items = collections.deque([1, 2], 5)

    def run(self):
        return 1


class Outer:
    class Inner:
        value = 1


def clean(text):
    return text.strip()


def build():
    yield "enum", [Colour.RED, Level.HIGH, Access.READ | Access.WRITE, Kind.TEXT]
    yield "dataclass", [Config(), Frozen()]
    yield "exception", [OwnError("no", 3)]
    yield "plain", [Plain(), Bag(a=1), Row([1]), Number(2.5), Derived()]
    yield "state", [WithState(), WithReduce(1, 2)]
    yield "namedtuple", [Point(1, 2), Typed(3)]
    yield "class", [Plain, Colour, clean]
    yield "partial", [functools.partial(clean, "a")]
    yield "protocol 2", [Slots(), WithNew(3)]
    yield "protocol 4", [Outer.Inner(), Plain.apply, Plain().apply]


def objects(protocol):
    return {name: values for name, values in build()
            if not (name == "protocol 2" and protocol < 2 or name == "protocol 4" and protocol < 4)}
'''

# Ordinary values of the standard library, with names that the oldest interpreter knows.
VALUES = '''
import array, collections, datetime, decimal, fractions, functools, ipaddress, operator, pathlib, random, re, types
import uuid


def values():
    yield "numbers", [1, 2 ** 70, 1.5, 1j, True, None, b"x", "text", bytearray(b"y"), ..., NotImplemented]
    yield "containers", [[1], (1, 2), {1: 2}, {1, 2}, frozenset([1]), range(3), slice(1, 2)]
    yield "datetime", [datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), datetime.date(2024, 1, 2),
                       datetime.time(1, 2), datetime.timedelta(3), datetime.timezone(datetime.timedelta(hours=1))]
    yield "exact", [decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=5)]
    yield "collections", [collections.OrderedDict(a=1), collections.Counter("abca"), collections.deque([1], 3),
                          collections.defaultdict(list, a=[1]), collections.ChainMap({"a": 1})]
    yield "functions", [functools.partial(int, base=2), operator.itemgetter(1), len, sorted]
    yield "regex", [re.compile("a+", re.I)]
    yield "paths", [pathlib.Path("a/b"), pathlib.PurePosixPath("c")]
    yield "exceptions", [ValueError("a", 1), KeyError("k"), OSError(2, "no", "file"), StopIteration(3)]
    yield "types", [int, dict, datetime.date, types.SimpleNamespace(a=1), type(None)]
    yield "random", [random.Random(3)]
    yield "arrays", [array.array("d", [1.0])]
    yield "addresses", [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8")]
    yield "recursive", [recursive()]


def recursive():
    items = [1]
    items.append({"self": items})
    return items


def objects(protocol):
    return dict(values())
'''

# python FILE dump|load FOLDER: one file an object group and protocol; a line says what came back of each.
DUMP_AND_LOAD = '''

def load_three_ways(path, pickle):
    with open(path, "rb") as file:
        yield pickle.load(file)
    with open(path, "rb") as file:
        yield pickle.loads(file.read())
    with open(path, "rb") as file:
        yield pickle._load(file)


def main(what, folder):
    import os, pickle

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for name, group in objects(protocol).items():
            path = os.path.join(folder, "%s-%d.pkl" % (name.replace(" ", "_"), protocol))
            if what == "dump":
                with open(path, "wb") as file:
                    pickle.dump(group, file, protocol)
            try:
                loaded = [[type(item).__name__ for item in items] for items in load_three_ways(path, pickle)]
                print(name, protocol, loaded[0], loaded[1:] == [loaded[0]] * 2, flush=True)
            except Exception as error:
                print(name, protocol, "FAILED", type(error).__name__, error, flush=True)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
'''

MAIN = CLASSES + DUMP_AND_LOAD
FROM_PACKAGE = "from {module} import objects\n" + DUMP_AND_LOAD
MAIN_VALUES = VALUES + DUMP_AND_LOAD
