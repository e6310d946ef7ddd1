"""Which names does a pickle resolve, create and call? A second opinion, independent of guard's analyzer.

    pickle_names.py PICKLE...      one line a name: how many files, kinds, name

Interprets the opcodes that pickletools lists, on a symbolic stack; meant for pickles that Python itself wrote.
"""
import collections
import pickletools
import sys
import zipfile
import io


class Name(str):
    pass


MARK = object()


def names_of(content):
    """Yields (kind, name, arguments) for every stream in `content`."""
    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        start = stream.tell()
        try:
            yield from _stream_names(pickletools.genops(stream))
        except Exception:
            if stream.tell() == start:
                return
            return


def _canonical(module, name):
    return Name(f"{module}:{name}" if "." in name else f"{module}.{name}")


def _stream_names(operations):
    stack, memo = [], {}

    def pop_mark():
        at = len(stack) - 1
        while stack[at] is not MARK:
            at -= 1
        items = stack[at + 1:]
        del stack[at:]
        return items

    for opcode, argument, _ in operations:
        op = opcode.name
        if op == "MARK":
            stack.append(MARK)
        elif op == "GLOBAL" or op == "STACK_GLOBAL":
            if op == "GLOBAL":
                module, name = argument.split(" ", 1)
            else:
                name, module = stack.pop(), stack.pop()
            found = _canonical(module, name)
            stack.append(found)
            yield "import", found, None
        elif op in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            keywords = stack.pop() if op == "NEWOBJ_EX" else None
            arguments, callee = stack.pop(), stack.pop()
            kind = "call" if op == "REDUCE" else "create"
            if kind == "call" and callee in ("copyreg._reconstructor",
                                             "copy_reg._reconstructor") and isinstance(arguments, tuple):
                yield "create", arguments[0] if isinstance(arguments[0], Name) else Name("?"), None
            if kind == "call" and callee in ("copyreg.__newobj__", "copy_reg.__newobj__"):
                yield "create", arguments[0] if isinstance(arguments[0], Name) else Name("?"), None
            yield kind, callee if isinstance(callee, Name) else Name("?"), arguments
            for position, value in enumerate(arguments if isinstance(arguments, tuple) else ()):
                if isinstance(value, Name):
                    yield f"held {position} by {callee}", value, None
            stack.append(("made by", callee))
        elif op in ("INST", "OBJ"):
            items = pop_mark()
            callee = _canonical(*argument.split(" ", 1)) if op == "INST" else items.pop(0)
            yield "call", callee, tuple(items)
            stack.append(("made by", callee))
        elif op in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif op == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif op in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif op == "POP":
            stack.pop()
        elif op == "POP_MARK":
            pop_mark()
        elif op == "DUP":
            stack.append(stack[-1])
        elif op in ("TUPLE", "LIST", "DICT", "FROZENSET"):
            stack.append(tuple(pop_mark()))
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(op[-1])
            items = tuple(stack[-count:])
            del stack[-count:]
            stack.append(items)
        elif op in ("APPENDS", "SETITEMS", "ADDITEMS"):
            pop_mark()
        elif op == "SETITEM":
            del stack[-2:]
        elif op in ("APPEND", "BUILD"):
            target = stack[-2]
            if op == "BUILD" and isinstance(target, Name):
                yield "build on a name", target, None
            stack.pop()
        elif op == "BINPERSID":
            stack[-1] = "persistent"
        elif op in ("PROTO", "FRAME", "STOP", "READONLY_BUFFER"):
            pass
        elif op == "EMPTY_TUPLE":
            stack.append(())
        elif op in ("BINSTRING", "SHORT_BINSTRING", "STRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
                    "BINUNICODE8"):
            stack.append(argument)
        else:
            stack.append(None if argument is None else ("value", argument))


def contents(path):
    content = open(path, "rb").read()
    if content[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                if member.endswith(".pkl"):
                    yield archive.read(member)
    else:
        yield content


if __name__ == "__main__":
    counts = collections.defaultdict(collections.Counter)
    for path in sys.argv[1:]:
        for content in contents(path):
            for kind, name in {(kind, name) for kind, name, _ in names_of(content)}:
                counts[name][kind] += 1
    for name, kinds in sorted(counts.items()):
        print(name, ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())), sep="\t")
