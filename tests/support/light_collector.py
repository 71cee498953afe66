"""A collector that looks at nothing that was made before: each collection takes no time, and a test says when one comes."""
import gc


def light_collector():
    """To be made a fixture of: the collector runs only where the test sets a threshold."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(0)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
