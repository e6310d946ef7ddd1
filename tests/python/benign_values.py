"""Every kind of value that ordinary programs pickle, for measuring and proving the built-in policy.

    benign_values.py FOLDER [SECTION...]     writes FOLDER/SECTION.NAME.pPROTOCOL.pkl
    benign_values.py --load FOLDER           reads back what was just written there; prints what the guard refused

A section is a function below; one whose library is missing is left out.
"""
import pickle
import sys
from pathlib import Path


def stdlib_values():
    import array, ast, collections, datetime, decimal, difflib, enum, fractions, functools, inspect, ipaddress
    import itertools
    import operator, os, pathlib, random, re, statistics, string, sysconfig, time, types, typing, urllib.parse, uuid
    import email.message, http, io, json, logging, platform, signal, socket, subprocess, tarfile, zipfile, calendar
    import configparser, argparse, csv, dataclasses, numbers, queue, secrets, shlex, ssl, textwrap, tokenize, warnings
    import email.headerregistry, math, hashlib, locale, copyreg, codecs

    yield "none", [None, True, 1, 1.5, 2 ** 70, "text", b"bytes", (1,), [1], {1: 2}, {1}, ...]
    yield "not_implemented", NotImplemented
    yield "bytearray", bytearray(b"abc")
    yield "bytes_nonascii", b"\x80\xff\x00"
    yield "empty_bytes", b""
    yield "complex", 1 + 2j
    yield "frozenset", frozenset({1, 2})
    yield "range", range(1, 9, 2)
    yield "slice", slice(1, 2, 3)
    yield "types", [int, str, float, list, dict, tuple, set, frozenset, bytes, bytearray, bool, complex, object, type,
                    type(None), range, slice, property, super, memoryview]
    yield "none_types", [type(None), type(...), type(NotImplemented)]
    yield "builtins", [len, sum, abs, min, max, sorted, any, all, repr, round, isinstance, hash, pow, divmod, chr, ord,
                       print, iter, next, zip, enumerate, reversed, callable, id, format, ascii, bin, hex, oct]
    yield "builtin_methods", [str.lower, str.split, "a".join, [].append, dict.fromkeys, "x".upper]
    yield "iterators", [iter([1, 2]), iter((1, 2)), iter("ab"), iter({1: 2}), iter({1}), iter(range(3)), reversed([1]),
                        enumerate([1]), zip([1], [2]), iter(b"ab"), iter({1: 2}.items())]
    yield "datetime", datetime.datetime(2020, 1, 2, 3, 4, 5, 6)
    yield "datetime_fold", datetime.datetime(2020, 1, 2, 3, fold=1)
    yield "datetime_utc", datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)
    yield "date", datetime.date(2020, 1, 2)
    yield "time", datetime.time(1, 2, 3)
    yield "timedelta", datetime.timedelta(1, 2, 3)
    yield "timezone", datetime.timezone(datetime.timedelta(hours=2), "X")
    try:
        import zoneinfo
        yield "zoneinfo", zoneinfo.ZoneInfo("UTC")
        yield "zoneinfo_nocache", zoneinfo.ZoneInfo.no_cache("UTC")
        yield "datetime_zone", datetime.datetime(2020, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC"))
    except (ImportError, KeyError):
        pass
    yield "decimal", decimal.Decimal("1.5")
    yield "decimal_context", decimal.Context(prec=5)
    yield "decimal_tuple", decimal.Decimal("1.5").as_tuple()
    yield "fraction", fractions.Fraction(1, 3)
    yield "uuid", uuid.UUID(int=5)
    yield "uuid_safe", uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe)
    yield "counter", collections.Counter("abba")
    yield "deque", collections.deque([1, 2], maxlen=5)
    yield "chainmap", collections.ChainMap({1: 2}, {3: 4})
    yield "ordered", collections.OrderedDict(a=1)
    yield "default_dicts", [collections.defaultdict(f) for f in
                            (None, int, list, dict, set, float, str, tuple, bool, collections.OrderedDict, frozenset,
                             collections.Counter, collections.deque, bytes)]
    yield "default_nested", collections.defaultdict(functools.partial(collections.defaultdict, int))
    yield "user_dict", [collections.UserDict(a=1), collections.UserList([1]), collections.UserString("s")]
    yield "namespace", types.SimpleNamespace(a=1)
    yield "argparse", argparse.Namespace(a=1)
    yield "array", [array.array(c, [1, 2]) for c in "bBhHiIlLqQfd"]
    yield "array_text", array.array("u", "ab") if sys.version_info < (3, 13) else array.array("w", "ab")
    yield "ipaddress", [ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("::1"),
                        ipaddress.ip_network("1.2.3.0/24"),
                        ipaddress.ip_network("fe80::/64"), ipaddress.ip_interface("1.2.3.4/24"),
                        ipaddress.ip_interface("::1/64")]
    yield "paths", [pathlib.Path("/a/b"), pathlib.PurePath("a"), pathlib.PurePosixPath("a"),
                    pathlib.PureWindowsPath("a"),
                    pathlib.PosixPath("x")]
    yield "pattern", [re.compile("a+"), re.compile(b"a", re.I | re.S)]
    yield "regex_flag", [re.I, re.I | re.M]
    yield "struct_time", time.gmtime(0)
    yield "random", [random.Random(1), random.SystemRandom().__class__]
    yield "partial", [functools.partial(int, base=2), functools.partial(max, 1), functools.partial(pow, 2),
                      functools.partial(sorted, reverse=True), functools.partial(round, ndigits=2)]
    yield "cmp_functions", [functools.reduce, functools.partial, functools.wraps, functools.total_ordering]
    yield "operator_functions", [operator.add, operator.mul, operator.sub, operator.truediv, operator.lt, operator.eq,
                                 operator.and_, operator.neg, operator.mod, operator.or_, operator.not_,
                                 operator.contains]
    yield "itemgetter", operator.itemgetter(1)
    yield "math_functions", [math.sqrt, math.log, math.exp, math.sin, math.floor, math.log1p, math.tanh]
    if sys.version_info < (3, 14):
        yield "itertools", [itertools.count(1), itertools.repeat(1, 2), itertools.cycle([1]), itertools.chain([1], [2]),
                            itertools.islice([1], 1), itertools.product([1], [2]), itertools.combinations([1, 2], 1),
                            itertools.permutations([1]), itertools.zip_longest([1], [2])]
    yield "statistics", statistics.NormalDist(0, 1)
    yield "enums", [http.HTTPStatus.OK, signal.Signals.SIGINT, socket.AddressFamily.AF_INET,
                    socket.SocketKind.SOCK_STREAM,
                    ssl.TLSVersion.TLSv1_2, inspect.Parameter.POSITIONAL_ONLY, signal.Handlers.SIG_DFL]
    yield "calendar", [calendar.Calendar(), calendar.TextCalendar()]
    yield "urls", [urllib.parse.urlparse("http://a/b"), urllib.parse.urlsplit("http://a/b"),
                   urllib.parse.urldefrag("a#b")]
    yield "stat", os.stat("/")
    yield "terminal", os.terminal_size((80, 24))
    yield "uname", [os.uname()]
    yield "platform_uname", platform.uname()
    yield "version_info", [tuple(sys.version_info)]
    yield "logger", logging.getLogger("x")
    yield "log_record", logging.LogRecord("n", 10, "p", 1, "m", (), None)
    yield "log_handlers", [logging.Formatter("%(message)s"), logging.Filter("x")]
    yield "message", email.message.EmailMessage()
    yield "string_io", [io.StringIO("x"), io.BytesIO(b"x")]
    yield "zip_info", zipfile.ZipInfo("a")
    yield "tar_info", tarfile.TarInfo("a")
    yield "config_parser", configparser.ConfigParser()
    yield "completed_process", subprocess.CompletedProcess(["a"], 0)
    yield "signature", inspect.signature(shlex.split)
    yield "arg_spec", inspect.getfullargspec(shlex.split)
    yield "match_tuple", difflib.Match(1, 2, 3)
    yield "ast", ast.parse("a = 1 + 2")
    yield "typing", [typing.List[int], typing.Optional[int], typing.Dict[str, int], typing.Any, typing.Union[int, str],
                     typing.Callable[[int], str], typing.Tuple[int, ...], typing.Sequence[int], typing.Type[int]]
    if sys.version_info >= (3, 9):
        yield "generic_alias", [list[int], dict[str, int]]
    if sys.version_info >= (3, 10):
        yield "union", int | str
    yield "text_wrapper", textwrap.TextWrapper()
    yield "string_template", string.Template("$a")
    yield "json_coders", [json.JSONEncoder, json.JSONDecoder]
    yield "exceptions", [getattr(__builtins__, n)("x") if not isinstance(__builtins__, dict) else __builtins__[n]("x")
                         for n in _plain_exceptions()]
    yield "os_error", OSError(2, "No such file", "x")
    yield "unicode_errors", [UnicodeDecodeError("utf-8", b"x", 0, 1, "r"), UnicodeEncodeError("utf-8", "x", 0, 1, "r"),
                             UnicodeTranslateError("x", 0, 1, "r")]
    yield "stdlib_errors", [json.JSONDecodeError("m", "d", 0), queue.Empty(), queue.Full(), decimal.InvalidOperation(),
                            socket.timeout("x"), socket.gaierror(1, "x"), zipfile.BadZipFile("x"), csv.Error("x"),
                            subprocess.TimeoutExpired("c", 1), pickle.PickleError("x"), pickle.UnpicklingError("x"),
                            binascii_error(), struct_error(), ssl.SSLError(1, "x"), statistics.StatisticsError("x"),
                            inspect.EndOfBlock(), tokenize.TokenError("x"), locale.Error("x"),
                            configparser.Error("x"), calendar.IllegalMonthError(3), re.error("x"),
                            argparse.ArgumentTypeError("x"), dataclasses.FrozenInstanceError("x")]
    yield "called_process_error", subprocess.CalledProcessError(1, "c")
    if sys.version_info >= (3, 11):
        yield "exception_group", ExceptionGroup("g", [ValueError("x")])
    yield "warnings", [DeprecationWarning("x"), UserWarning("x"), FutureWarning("x")]


def binascii_error():
    import binascii
    return binascii.Error("x")


def struct_error():
    import struct
    return struct.error("x")


def _plain_exceptions():
    import builtins
    special = {"UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError", "BaseExceptionGroup",
               "ExceptionGroup"}
    return sorted(name for name, kind in vars(builtins).items()
                  if isinstance(kind, type) and issubclass(kind, BaseException) and name not in special)


def stdlib_asyncio_values():
    import asyncio, concurrent.futures, xml.etree.ElementTree, sqlite3, gettext, mimetypes, sched, string, traceback
    yield "errors", [asyncio.CancelledError(), asyncio.TimeoutError(), asyncio.InvalidStateError(),
                     asyncio.QueueEmpty(),
                     concurrent.futures.TimeoutError(), concurrent.futures.CancelledError(),
                     concurrent.futures.BrokenExecutor()]
    yield "element", xml.etree.ElementTree.fromstring("<a><b/></a>")
    yield "sqlite_errors", [sqlite3.Error("x"), sqlite3.OperationalError("x")]
    yield "formatter", string.Formatter()
    yield "frame_summary", traceback.extract_stack()[:1]


def own_values():
    """A program's own classes: in __main__ when this file is run, which is what users' notebooks do."""
    import own_classes
    yield from own_classes.values()


def numpy_values():
    import numpy as np
    yield "scalars", [np.dtype(c).type(1) for c in
                      ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", "c8", "c16", "G")]
    yield "text_scalars", [np.str_("a"), np.bytes_(b"a"), np.datetime64("2020-01-01"), np.timedelta64(1, "D")]
    yield "void_scalar", np.zeros(1, dtype=[("a", "i4"), ("b", "f8")])[0]
    yield "array", np.arange(6.0).reshape(2, 3)
    yield "array_fortran", np.asfortranarray(np.arange(6.0).reshape(2, 3))
    yield "array_empty", np.array([])
    yield "array_object", np.array([1, "a", None], dtype=object)
    yield "array_text", np.array(["a", "bc"])
    yield "array_dates", np.array(["2020-01-01"], dtype="M8[D]")
    yield "array_structured", np.zeros(2, dtype=[("a", "i4"), ("b", "U3", (2,))])
    yield "array_big_endian", np.arange(3, dtype=">i4")
    yield "array_noncontiguous", np.arange(10)[::2]
    yield "record", np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    yield "masked", [np.ma.array([1, 2], mask=[0, 1]), np.ma.masked]
    yield "masked_structured", np.ma.zeros(2, dtype=[("a", "i4")])
    yield "matrix", np.asmatrix([[1, 2]])
    yield "chararray", np.char.array(["a"])
    yield "dtypes", [np.dtype(c) for c in ("i4", "f8", "U3", "S3", "O", "M8[ns]", "m8[D]", "V8", "bool", "c16")]
    yield "dtype_structured", np.dtype({"names": ["a"], "formats": ["i4"], "offsets": [4], "itemsize": 16})
    yield "dtype_metadata", np.dtype("i4", metadata={"a": 1})
    yield "dtype_classes", [type(np.dtype("f8"))]
    yield "types", [np.float32, np.float64, np.int64, np.ndarray, np.dtype, np.bool_, np.generic, np.number, np.str_,
                    np.datetime64, np.object_, np.floating, np.integer]
    yield "random_state", np.random.RandomState(1)
    yield "generators", [np.random.Generator(bits(1)) for bits in
                         (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM)]
    yield "bit_generator", np.random.PCG64(1)
    yield "seed_sequence", np.random.SeedSequence(1)
    yield "random_get_state", np.random.get_state()
    yield "ufuncs", [value for value in vars(np).values() if isinstance(value, np.ufunc)]
    yield "functions", [np.mean, np.median, np.sum, np.std, np.var, np.max, np.min, np.array, np.asarray, np.ravel,
                        np.concatenate, np.clip, np.nan_to_num, np.where, np.argmax, np.percentile, np.prod, np.reshape,
                        np.nanmean, np.squeeze, np.round, np.dot, np.cumsum, np.zeros, np.ones, np.linspace,
                        np.quantile,
                        np.average, np.unique, np.sort, np.argsort, np.stack, np.hstack, np.vstack, np.transpose,
                        np.diff,
                        np.nansum, np.nanstd, np.nanmax, np.nanmin, np.any, np.all, np.allclose, np.outer, np.trace]
    yield "linalg", [np.linalg.norm, np.linalg.inv, np.linalg.svd, np.linalg.LinAlgError("x")]
    yield "polynomial", [np.polynomial.Polynomial([1, 2]), np.polynomial.Chebyshev([1]), np.poly1d([1, 2])]
    yield "errors", [np.exceptions.AxisError("x"), np.exceptions.ComplexWarning("x")]
    yield "iinfo", [np.finfo("f8").dtype, np.iinfo("i4")]
    yield "flatiter_index", [np.s_[1:2], np.index_exp[1]]
    yield "vectorize", np.vectorize(abs)


def pandas_values():
    import datetime
    import numpy as np
    import pandas as pd
    yield "series", pd.Series([1.0, 2.0], name="s")
    yield "frame", pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.5, None]})
    yield "frame_dates", pd.DataFrame({"t": pd.date_range("2020", periods=3),
                                       "z": pd.date_range("2020", periods=3, tz="UTC"),
                                       "p": pd.date_range("2020", periods=3, tz="Europe/Berlin"),
                                       "d": pd.to_timedelta([1, 2, 3], "D")})
    yield "frame_date_index", pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="h"))
    yield "frame_categorical", pd.DataFrame({"c": pd.Categorical(["a", "b"], ordered=True)})
    yield "frame_extension", pd.DataFrame({"i": pd.array([1, None], dtype="Int64"),
                                           "b": pd.array([True, None], dtype="boolean"),
                                           "s": pd.array(["a", None], dtype="string"),
                                           "f": pd.array([1.0, None], dtype="Float64"),
                                           "u": pd.array([1, 2], dtype="UInt8")})
    yield "frame_string_python", pd.DataFrame({"s": pd.array(["a", None], dtype=pd.StringDtype("python"))})
    yield "frame_period", pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M")})
    yield "frame_interval", pd.DataFrame({"i": pd.interval_range(0, 2)})
    yield "frame_multi", pd.DataFrame({"a": [1, 2]},
                                      index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["x", "y"]))
    yield "frame_multi_columns", pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_product([["a"], ["b", "c"]]))
    yield "frame_sparse", pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])})
    yield "frame_objects", pd.DataFrame({"o": [[1], {2: 3}]})
    yield "frame_empty", pd.DataFrame()
    yield "frame_attrs", _with_attrs(pd.DataFrame({"a": [1]}))
    yield "indexes", [pd.Index([1, 2]), pd.Index(["a"]), pd.RangeIndex(3), pd.CategoricalIndex(["a"]),
                      pd.IntervalIndex.from_breaks([0, 1]),
                      pd.DatetimeIndex(["2020"]), pd.TimedeltaIndex([1]), pd.PeriodIndex(["2020"], freq="Y"),
                      pd.Index([1.5]),
                      pd.Index([True]), pd.MultiIndex.from_tuples([(1, 2)])]
    yield "scalars", [pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020", tz="Europe/Berlin"),
                      pd.Timedelta(1), pd.NaT, pd.NA,
                      pd.Period("2020", "D"), pd.Interval(0, 1)]
    offsets = pd.offsets
    yield "offsets", [offsets.Day(1), offsets.Hour(2), offsets.MonthEnd(), offsets.MonthBegin(), offsets.BDay(),
                      offsets.Week(weekday=1),
                      offsets.QuarterEnd(), offsets.YearEnd(), offsets.BusinessHour(), offsets.CustomBusinessDay(),
                      offsets.Minute(),
                      offsets.Second(), offsets.Milli(), offsets.Micro(), offsets.Nano(), offsets.YearBegin(),
                      offsets.BMonthEnd(),
                      offsets.BMonthBegin(), offsets.QuarterBegin(), offsets.SemiMonthEnd(), offsets.WeekOfMonth(),
                      offsets.Easter(),
                      offsets.DateOffset(months=1), offsets.LastWeekOfMonth(),
                      offsets.FY5253(startingMonth=1, weekday=1), offsets.BYearEnd(),
                      offsets.BQuarterEnd(), offsets.SemiMonthBegin(), offsets.BQuarterBegin(), offsets.BYearBegin(),
                      offsets.CustomBusinessHour(), offsets.CustomBusinessMonthEnd(),
                      offsets.CustomBusinessMonthBegin(),
                      offsets.FY5253Quarter(startingMonth=1, weekday=1)]
    yield "dtypes", [pd.CategoricalDtype(["a"]), pd.DatetimeTZDtype(tz="UTC"), pd.Int64Dtype(),
                     pd.StringDtype("python"), pd.BooleanDtype(),
                     pd.IntervalDtype("int64"), pd.PeriodDtype("D"), pd.SparseDtype("f8"), pd.Float32Dtype(),
                     pd.Int8Dtype(),
                     pd.Int16Dtype(), pd.Int32Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype(),
                     pd.UInt8Dtype(), pd.Float64Dtype()]
    yield "functions", [pd.isna, pd.to_datetime, pd.to_numeric, pd.concat, pd.DataFrame, pd.Series, pd.cut]
    yield "grouper", pd.Grouper(key="a")
    yield "errors", [pd.errors.ParserError("x"), pd.errors.EmptyDataError("x"), pd.errors.MergeError("x")]
    yield "groupby", pd.DataFrame({"a": [1, 2], "b": [1, 1]}).groupby("b").mean()
    yield "datetime_tz_offset", pd.Timestamp("2020", tz=datetime.timezone(datetime.timedelta(hours=1)))


def _with_attrs(frame):
    frame.attrs["a"] = 1
    return frame


def matplotlib_values():
    import datetime

    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import BoundaryNorm, LogNorm, Normalize, TwoSlopeNorm
    flat, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2, 3], label="line", marker="o")
    left.bar([1, 2], [3, 4], yerr=[0.1, 0.2])
    left.hist([1, 2, 2])
    left.fill_between([1, 2], [1, 2])
    left.set_xscale("log")
    left.legend()
    left.annotate("here", (1, 1), arrowprops={"arrowstyle": "->"})
    left.text(1, 1, "box", bbox={"boxstyle": "round"})
    flat.colorbar(right.imshow(np.eye(3)))
    right.contourf(np.eye(3))
    yield "figure", flat
    for projection in ("3d", "polar"):
        figure = plt.figure(layout="constrained")
        figure.add_subplot(projection=projection).plot([1, 2], [1, 2], *([[1, 2]] if projection == "3d" else []))
        yield f"figure_{projection}", figure
    dates, axes = plt.subplots()
    axes.plot([datetime.date(2020, 1, 1), datetime.date(2020, 2, 1)], [1, 2])
    axes.twinx().scatter([datetime.date(2020, 1, 1)], [1])
    axes.pie([1, 2])
    axes.boxplot([1, 2, 3])
    axes.quiver([1], [1], [1], [1])
    yield "figure_of_dates", dates
    yield "norms", [Normalize(0, 1), LogNorm(), BoundaryNorm([0, 1], 256), TwoSlopeNorm(0)]
    yield "colours", [plt.get_cmap("viridis"), plt.get_cmap("jet")]


def networkx_values():
    import networkx as nx
    club = nx.karate_club_graph()
    yield "graphs", [club, nx.DiGraph([(1, 2)]), nx.MultiGraph([(1, 2)]), nx.MultiDiGraph([(1, 2)])]
    yield "views", [club.subgraph([1, 2]), nx.DiGraph([(1, 2)]).reverse(copy=False), club.degree, club.edges, club.nodes]
    yield "frozen", nx.freeze(nx.path_graph(3))


def scipy_values():
    import numpy as np
    import scipy.sparse as sp
    import scipy.stats, scipy.interpolate, scipy.optimize, scipy.spatial, scipy.special, scipy.spatial.transform
    eye = np.eye(3)
    for name in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil"):
        yield name, [getattr(sp, name + "_matrix")(eye), getattr(sp, name + "_array")(eye)]
    yield "frozen", [scipy.stats.norm(0, 1), scipy.stats.uniform(), scipy.stats.randint(1, 5),
                     scipy.stats.loguniform(1, 2),
                     scipy.stats.expon(), scipy.stats.poisson(1), scipy.stats.beta(1, 2), scipy.stats.gamma(1),
                     scipy.stats.multivariate_normal([0.0], [[1.0]])]
    yield "distributions", [scipy.stats.norm, scipy.stats.uniform, scipy.stats.poisson]
    yield "results", [scipy.stats.ttest_ind([1, 2, 3], [2, 3, 5]), scipy.optimize.minimize(lambda x: x[0] ** 2, [1.0]),
                      scipy.stats.linregress([1, 2, 3], [2, 4, 7]), scipy.stats.pearsonr([1, 2, 3], [2, 4, 7])]
    yield "interpolators", [scipy.interpolate.interp1d([1, 2, 3], [1, 2, 3]),
                            scipy.interpolate.CubicSpline([1, 2, 3], [1, 2, 3]),
                            scipy.interpolate.PchipInterpolator([1, 2, 3], [1, 2, 3]),
                            scipy.interpolate.BSpline([0, 1, 2, 3], [1, 2], 1),
                            scipy.interpolate.RegularGridInterpolator(([0, 1],), [1.0, 2.0]),
                            scipy.interpolate.UnivariateSpline([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])]
    yield "spatial", [scipy.spatial.cKDTree(eye), scipy.spatial.KDTree(eye),
                      scipy.spatial.transform.Rotation.identity()]
    yield "functions", [scipy.special.expit, scipy.special.logit, scipy.special.logsumexp, scipy.special.softmax,
                        scipy.stats.zscore, scipy.spatial.distance.cosine, scipy.spatial.distance.cdist]


def sklearn_values():
    import functools
    import warnings
    import numpy as np
    import sklearn
    from sklearn.utils import all_estimators
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.compose import make_column_transformer, make_column_selector, TransformedTargetRegressor
    from sklearn.preprocessing import FunctionTransformer, StandardScaler, OneHotEncoder
    from sklearn.linear_model import LogisticRegression, LinearRegression
    from sklearn.model_selection import (GridSearchCV, RandomizedSearchCV, KFold, StratifiedKFold, ShuffleSplit,
                                         TimeSeriesSplit)
    from sklearn import metrics, model_selection
    warnings.simplefilter("ignore")
    rng = np.random.RandomState(0)
    x, y = np.abs(rng.randn(60, 4)), np.tile([0, 1], 30)
    yield "pipeline", make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()).fit(x, y)
    yield "pipeline_partial", make_pipeline(FunctionTransformer(functools.partial(np.clip, a_min=0, a_max=1)),
                                            StandardScaler()).fit(x)
    yield "union", make_union(StandardScaler(), FunctionTransformer(np.sqrt)).fit(x)
    yield "columns", make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(), [2])).fit(np.round(x))
    yield "selector", make_column_selector("a.*", dtype_include=np.number)
    yield "target", TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1).fit(x, y)
    yield "grid", GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=KFold(2), scoring="f1").fit(x, y)
    yield "scorers", [metrics.make_scorer(metrics.f1_score), metrics.get_scorer("roc_auc"),
                      metrics.make_scorer(metrics.log_loss, response_method="predict_proba")]
    yield "metrics", [getattr(metrics, name) for name in metrics.__all__ if callable(getattr(metrics, name))
                      and not name.endswith("Display")]
    yield "splitters", [getattr(model_selection, n)() for n in ("KFold", "StratifiedKFold", "ShuffleSplit",
                                                                "TimeSeriesSplit", "GroupKFold", "LeaveOneOut",
                        "RepeatedKFold", "RepeatedStratifiedKFold", "StratifiedShuffleSplit", "GroupShuffleSplit")]
    yield "errors", [sklearn.exceptions.NotFittedError("x"), sklearn.exceptions.ConvergenceWarning("x"),
                     sklearn.exceptions.InconsistentVersionWarning(estimator_name="a", current_sklearn_version="1",
                                                                   original_sklearn_version="2")]
    from sklearn.datasets import load_iris
    yield "bunch", load_iris()
    for name, kind in all_estimators():
        made = _estimator(kind, name)
        if made is None:
            continue
        yield "new_" + name, made
        for data in ((x, y), (x, None), (np.round(x), y)):
            try:
                fitted = _estimator(kind, name).fit(*data)
            except Exception:
                continue
            yield "fit_" + name, fitted
            break
    yield "text", _text_pipelines()


def _text_pipelines():
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer, TfidfTransformer
    from sklearn.feature_extraction import DictVectorizer, FeatureHasher
    words = ["a b c aa bb", "b c d cc dd"]
    return [CountVectorizer().fit(words), TfidfVectorizer(stop_words="english").fit(words),
            HashingVectorizer().fit(words),
            DictVectorizer().fit([{"a": 1}]), FeatureHasher(),
            TfidfVectorizer(tokenizer=str.split, preprocessor=str.lower).fit(words)]


def _estimator(kind, name):
    from sklearn.linear_model import LogisticRegression, LinearRegression
    from sklearn.preprocessing import StandardScaler
    for arguments in ((), (LogisticRegression(),), ([("a", LogisticRegression()), ("b", LogisticRegression())],),
                      ([("a", LinearRegression())],), ([("a", StandardScaler())],), ([("a", StandardScaler(), [0])],),
                      (LogisticRegression(), {"C": [1, 2]})):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    return None


def joblib_values():
    """Through joblib.dump, whose files hold the arrays between the opcodes."""
    import io
    import joblib
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    x, y = np.eye(6), [0, 1] * 3
    kept = {"array": np.arange(5.0), "fortran": np.asfortranarray(np.eye(3)),
            "object": np.array([1, "a"], dtype=object),
            "model": LogisticRegression().fit(x, y), "neighbours": KNeighborsClassifier(1).fit(x, y),
            "many": [np.eye(2), {"a": np.zeros(3)}],
            "structured": np.zeros(2, dtype=[("a", "i4"), ("b", "U3")]), "plain": {"a": 1}}
    for name, value in kept.items():
        for compress in (0, ("zlib", 3), ("gzip", 3)):
            out = io.BytesIO()
            joblib.dump(value, out, compress=compress)
            yield name + (f".{compress[0]}" if compress else ".plain"), Raw(out.getvalue())


def torch_values():
    import collections
    import torch
    import torch.nn.utils.prune
    from torch import nn, optim
    torch.manual_seed(0)
    yield "generator", [torch.Generator(), torch.utils.data.RandomSampler([1], generator=torch.Generator())]
    kinds = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int16, torch.int32,
             torch.int64,
             torch.uint8, torch.bool, torch.complex64, torch.complex128]
    yield "tensors", [torch.zeros(2, dtype=kind) for kind in kinds]
    yield "tensor_grad", torch.zeros(2, requires_grad=True)
    yield "tensor_float8", [torch.zeros(2).to(torch.float8_e4m3fn), torch.zeros(2).to(torch.float8_e5m2)]
    yield "tensor_sparse", [torch.eye(2).to_sparse(), torch.eye(2).to_sparse_csr()]
    yield "tensor_quantized", torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)
    yield "tensor_quantized_channel", torch.quantize_per_channel(torch.zeros(2, 2), torch.ones(2), torch.zeros(2), 0,
                                                                 torch.quint8)
    yield "tensor_meta", torch.zeros(2, device="meta")
    yield "tensor_nested", torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    yield "tensor_conj", torch.zeros(2, dtype=torch.complex64).conj()
    yield "parameter", [nn.Parameter(torch.zeros(2)), nn.Buffer(torch.zeros(2))]
    yield "parameter_state", _parameter_with_state(nn, torch)
    yield "storage", [torch.zeros(2).storage(), torch.zeros(2).untyped_storage()]
    yield "dtypes", [value for value in vars(torch).values() if isinstance(value, torch.dtype)]
    yield "small", [torch.device("cpu"), torch.device("cuda:0"), torch.Size([1, 2]), torch.strided,
                    torch.contiguous_format,
                    torch.channels_last, torch.sparse_coo, torch.finfo(torch.float32).dtype, torch.per_tensor_affine]
    yield "version", torch.torch_version.TorchVersion("2.0")
    yield "rng_state", [torch.get_rng_state()]
    yield "distributions", [torch.distributions.Normal(0.0, 1.0), torch.distributions.Categorical(torch.ones(3))]
    yield "functions", [torch.relu, torch.tanh, torch.sigmoid, nn.functional.relu, nn.functional.gelu,
                        nn.functional.softmax,
                        nn.functional.silu, torch.nn.init.xavier_uniform_, torch.nn.functional.cross_entropy,
                        torch.softmax, torch.sum, torch.add]
    for name, kind in sorted(vars(nn).items()):
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            made = _module(nn, kind)
            if made is not None:
                yield "nn_" + name, made
    model = nn.Sequential(collections.OrderedDict(a=nn.Linear(2, 2), b=nn.ReLU(), c=nn.Conv1d(1, 1, 1)))
    yield "model", model
    yield "state_dict", model.state_dict()
    yield "model_half", nn.Linear(2, 2).half()
    for name, kind in sorted(vars(optim).items()):
        if isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer:
            try:
                made = kind(nn.Linear(2, 2).parameters(), lr=0.1)
            except Exception:
                continue
            yield "optim_" + name, made
            yield "optim_state_" + name, made.state_dict()
    step = optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    schedules = optim.lr_scheduler
    yield "schedulers", [schedules.StepLR(step, 1).state_dict(), schedules.CosineAnnealingLR(step, 2).state_dict(),
                         schedules.OneCycleLR(optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, momentum=0.9), 0.1,
                                              10).state_dict(),
                         schedules.ReduceLROnPlateau(step).state_dict(),
                         schedules.LambdaLR(step, _own_lambda).state_dict()]
    yield "scheduler_objects", [schedules.StepLR(step, 1), schedules.CosineAnnealingLR(step, 2),
                                schedules.ReduceLROnPlateau(step),
                                schedules.ExponentialLR(step, 0.5), schedules.MultiStepLR(step, [1]),
                                schedules.LinearLR(step)]
    data = torch.utils.data
    yield "datasets", [data.TensorDataset(torch.zeros(2)), data.Subset(data.TensorDataset(torch.zeros(2)), [0]),
                       data.ConcatDataset([data.TensorDataset(torch.zeros(2))])]
    yield "data_loader", data.DataLoader(data.TensorDataset(torch.zeros(2)))
    yield "samplers", [data.SequentialSampler([1]), data.RandomSampler([1]),
                       data.BatchSampler(data.SequentialSampler([1]), 1, False)]
    pruned = nn.Linear(2, 2)
    torch.nn.utils.prune.l1_unstructured(pruned, "weight", 0.5)
    yield "pruned", pruned
    yield "weight_norm", torch.nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)).state_dict()
    yield "amp", torch.amp.GradScaler("cpu", enabled=False).state_dict()
    yield "compiled", torch.compile(nn.Linear(2, 2))


def _torch_protocol2_values():
    """What the C++ side refuses to pickle below protocol 2 by ending the process."""
    import torch
    from torch import nn
    yield "quantized_module", torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)), {nn.Linear},
                                                                     dtype=torch.qint8)


def _own_lambda(epoch):
    return 1.0


def _parameter_with_state(nn, torch):
    parameter = nn.Parameter(torch.zeros(2))
    parameter.note = "x"
    return parameter


def _module(nn, kind):
    if kind is nn.Transformer:
        return kind(8, 2, 1, 1, 8)  # its defaults make 260 MB
    for arguments in ((), (2,), (2, 2), (1, 1, 1), (4, 2), (2, 2, 2), (nn.TransformerEncoderLayer(4, 2), 1),
                      (nn.TransformerDecoderLayer(4, 2), 1), (1, 4, [1])):
        try:
            return kind(*arguments)
        except Exception:
            continue
    return None


def torch_saved_values():
    """The same through torch.save, in both of its containers; yields bytes, not objects."""
    import io
    import torch
    for name, value in [*torch_values(), *_torch_protocol2_values()]:
        for zipped in (True, False):
            out = io.BytesIO()
            try:
                torch.save(value, out, _use_new_zipfile_serialization=zipped)
            except Exception:
                continue
            yield name + (".zip" if zipped else ".legacy"), Raw(out.getvalue())


class Raw:
    def __init__(self, content):
        self.content = content


def transformers_values():
    import tempfile
    import transformers
    from transformers import trainer_utils, training_args
    folder = tempfile.mkdtemp()
    yield "training_args", transformers.TrainingArguments(folder, report_to=[])
    yield "training_args_rich", transformers.TrainingArguments(folder, report_to=[], fsdp="", optim="adafactor",
                                                               lr_scheduler_type="cosine", warmup_steps=5,
                                                               eval_strategy="epoch", save_strategy="epoch",
                                                               logging_strategy="steps", use_cpu=True)
    yield "seq2seq_args", transformers.Seq2SeqTrainingArguments(folder, report_to=[],
                                                                generation_config=transformers.GenerationConfig())
    import enum
    for module in (trainer_utils, training_args, transformers.tokenization_utils_base, transformers.utils.generic):
        yield "enums_" + module.__name__.rsplit(".", 1)[1], [list(kind)[0] for kind in vars(module).values()
                                                              if isinstance(kind, type) and issubclass(kind, enum.Enum)
                                                             and len(list(kind))]
    for name in ("BertConfig", "GPT2Config", "LlamaConfig", "T5Config", "ViTConfig", "RobertaConfig",
                 "DistilBertConfig", "GenerationConfig", "WhisperConfig"):
        yield name, getattr(transformers, name)()
    yield "bert", transformers.BertModel(transformers.BertConfig(hidden_size=8, num_hidden_layers=1,
                                                                 num_attention_heads=2, intermediate_size=8,
                                                                 vocab_size=10))
    yield "llama", transformers.LlamaForCausalLM(transformers.LlamaConfig(hidden_size=8, num_hidden_layers=1,
                                                                          num_attention_heads=2, num_key_value_heads=2,
                                                                          intermediate_size=8, vocab_size=10))
    yield "batch_encoding", transformers.BatchEncoding({"input_ids": [1]})
    yield "batch_feature", transformers.BatchFeature({"a": [1]})
    yield "trainer_state", transformers.TrainerState()
    yield "outputs", [transformers.modeling_outputs.BaseModelOutput(last_hidden_state=None),
                      trainer_utils.EvalPrediction([1], [2]), trainer_utils.PredictionOutput([1], [2], {})]
    import tokenizers
    from tokenizers import models, pre_tokenizers, AddedToken, normalizers, decoders, processors, trainers
    plain = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    yield "tokenizer", plain
    yield "added_token", AddedToken("x")
    yield "tokenizer_parts", [pre_tokenizers.Whitespace(), normalizers.Lowercase(), decoders.WordPiece(),
                              processors.ByteLevel()]
    yield "fast_tokenizer", transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]")
    yield "encoding", plain.encode("a")


def peft_values():
    import peft
    import transformers
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(hidden_size=8, num_hidden_layers=1,
                                                                   num_attention_heads=2, num_key_value_heads=2,
                                                                   intermediate_size=8, vocab_size=10))
    yield "config", peft.LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"])
    yield "configs", [peft.PromptTuningConfig(), peft.PrefixTuningConfig(), peft.IA3Config()]
    yield "model", peft.get_peft_model(model, peft.LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"]))


def accelerate_values():
    import accelerate
    from accelerate.utils import dataclasses as kinds
    import enum
    yield "enums", [list(kind)[0] for kind in vars(kinds).values() if isinstance(kind, type)
                    and issubclass(kind, enum.Enum) and len(list(kind))]
    yield "state", accelerate.PartialState(cpu=True)


def sections():
    return {name[:-len("_values")]: function for name, function in globals().items()
            if name.endswith("_values") and name[0] != "_"}


# One protocol of each kind: text and Python 2 names, Python 2 names, attributes by getattr, dotted names. The rest name
# the same.
FORMS = (0, 2, 3, 4)


def write(folder, wanted, protocols):
    folder.mkdir(parents=True, exist_ok=True)
    written = failed = 0
    for section, function in sections().items():
        if wanted and section not in wanted:
            continue
        try:
            for name, value in function():
                if isinstance(value, Raw):
                    (folder / f"{section}.{name}.pt").write_bytes(value.content)
                    written += 1
                    continue
                for protocol in protocols if section.startswith(("stdlib", "own")) else FORMS:
                    try:
                        content = pickle.dumps(value, protocol)
                    except Exception as error:
                        print(f"# {section}.{name} protocol {protocol}: {type(error).__name__}: {error}"[:160],
                              file=sys.stderr)
                        failed += 1
                        continue
                    (folder / f"{section}.{name}.p{protocol}.pkl").write_bytes(content)
                    written += 1
        except ImportError as error:
            print(f"# {section}: {error}", file=sys.stderr)
    print(f"{written} pickles written, {failed} values have no pickle", file=sys.stderr)


def load(folder):
    """From the file and from bytes. What fails by itself (an optional library, a value that cannot be read back) is no
    matter here."""
    loaded = 0
    for path in sorted(folder.glob("*.pkl")):
        for how, read in (("file", lambda: pickle.load(path.open("rb"))),
                          ("bytes", lambda: pickle.loads(path.read_bytes()))):
            try:
                read()
                loaded += 1
            except PermissionError as error:
                print(f"{path.name} ({how}): {error}")
            except BaseException as error:
                print(f"# {path.name}: {type(error).__name__}: {error}"[:160], file=sys.stderr)
    for path in sorted(folder.glob("*.pt")):
        try:
            loaded += bool(_loader(path)(path))
        except PermissionError as error:
            print(f"{path.name}: {error}")
        except Exception as error:  # torch cannot read an untyped storage back that it wrote in the old format
            print(f"# {path.name}: {type(error).__name__}: {error}"[:160], file=sys.stderr)
    print(f"{loaded} values loaded", file=sys.stderr)


def _loader(path):
    if path.name.startswith("joblib."):
        import joblib
        return lambda file: [joblib.load(file)]
    import torch
    return lambda file: [torch.load(file, weights_only=False)]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[1] == "--load":
        load(Path(sys.argv[2]))
        sys.exit()
    write(Path(sys.argv[1]), sys.argv[2:], range(pickle.HIGHEST_PROTOCOL + 1))
