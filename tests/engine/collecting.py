"""Which of the package's objects there are, and which of them only the collector would find."""
import contextlib
import gc
import types


@contextlib.contextmanager
def no_collector():
    """Nothing is collected inside but by reference counts."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def is_ours(thing):
    """Whether it is of one of the package's own types, or a frame or a function of its code."""
    if isinstance(thing, types.FrameType):
        return is_of_package(thing.f_globals.get("__name__"))
    if isinstance(thing, types.FunctionType):
        return is_of_package(thing.__module__)
    return is_of_package(type(thing).__module__)


def is_of_package(module):
    return isinstance(module, str) and module.split(".")[0] == "qhttp"


def n_alive(kind):
    return sum(type(thing) is kind for thing in gc.get_objects())


def n_ours():
    """How many objects of the package's own types there are."""
    return sum(is_of_package(type(thing).__module__) for thing in gc.get_objects())


def ours_in_cycles():
    """What the collector finds now that is the package's. An earlier test's server that comes to its end late is not."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [repr(thing) for thing in gc.garbage if is_ours(thing)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()
