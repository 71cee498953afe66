"""QByteArray: bytes with Qt's methods, so that old and new code can both read an answer.

A body becomes one without a copy: a bytes object that nobody else has seen only gets another type. That is sound because
QByteArray adds nothing to the memory of bytes, is freed in the same way, and is no container for the collector, for which it
would need a header in front of it. A class statement makes containers only; so the type is made by hand.
"""
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.object cimport PyObject

cdef extern from *:
    """
    /* Gives a new object of exactly `bytes` the type `type`, a subclass as large as bytes itself. */
    static int retype(PyObject *data, PyObject *type)
    {
        if (Py_REFCNT(data) != 1)       /* somebody else's, or one of the interpreter's own */
            return 0;
        Py_INCREF(type);                /* each object of a heap type holds it; what frees the object lets go of it */
        Py_SET_TYPE(data, (PyTypeObject *)type);
        return 1;
    }

    /* A subclass of bytes that is no container. What is not said here is inherited: sizes, tp_new, tp_free. */
    static PyObject *bytes_subclass(void)
    {
        PyType_Slot none[] = {{0, NULL}};
        PyType_Spec spec = {"qhttp.byte_array.QByteArray", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, none};
        return PyType_FromSpecWithBases(&spec, (PyObject *)&PyBytes_Type);
    }
    """
    bint retype(PyObject *data, PyObject *type)
    object bytes_subclass()


cdef object as_byte_array(bytes data):
    """The same bytes as a QByteArray: the very object where it is new and nobody else's, else a copy."""
    if PyBytes_GET_SIZE(data) == 0:
        return EMPTY
    if PyBytes_CheckExact(data) and retype(<PyObject *>data, <PyObject *>KIND):
        return data
    return KIND(data)


cdef object number(object data, object kind, int base, object nothing):
    """(number, whether it is one), as PySide gives it."""
    value, is_one = nothing, False
    try:
        value, is_one = kind(bytes(data), base) if base else kind(bytes(data)), True
    except ValueError:
        pass
    return value, is_one


def made_by_hand(name, bases, names):
    """Stands in for a metaclass: the type with the names of a class statement."""
    made = bytes_subclass()
    for key, value in names.items():
        setattr(made, key, value)
    return made


class QByteArray(bytes, metaclass=made_by_hand):
    """Immutable bytes with Qt's methods beside Python's own (Qt: QByteArray, without what changes it in place).

    QByteArray(b"..."), QByteArray(). Everything that works with bytes works with it; it equals bytes of the same content and
    has their hash. Qt's methods and `+` give QByteArrays, Python's own plain bytes.
    """

    def data(self):
        """Itself, which is bytes (Qt: QByteArray::data)."""
        return self

    constData = data

    def size(self):
        """The number of bytes: int (Qt: QByteArray::size)."""
        return len(self)

    length = size

    def count(self, *args):
        """count(): the number of bytes. count(part[, start[, end]]): how often that occurs, as of bytes
        (Qt: QByteArray::count)."""
        return bytes.count(self, *args) if args else len(self)

    def isEmpty(self):
        """Whether there is not a byte in it (Qt: QByteArray::isEmpty)."""
        return len(self) == 0

    isNull = isEmpty

    def at(self, i):
        """The byte at `i`, from 0: bytes of length 1; IndexError beyond the end (Qt: QByteArray::at)."""
        if not 0 <= i < len(self):
            raise IndexError(f"i must be from 0 to {len(self) - 1}, not {i}")
        return bytes(self[i:i + 1])

    def left(self, n):
        """The first n bytes, all where there are fewer (Qt: QByteArray::left)."""
        return as_byte_array(self[:n]) if 0 <= n < len(self) else self

    def right(self, n):
        """The last n bytes, all where there are fewer (Qt: QByteArray::right)."""
        return as_byte_array(self[len(self) - n:]) if 0 <= n < len(self) else self

    def mid(self, start, n=-1):
        """n bytes from `start` on; -1: all of them (Qt: QByteArray::mid)."""
        if start < 0:
            n, start = (n + start if n >= 0 else n), 0
            if n < -1:
                n = 0
        return as_byte_array(bytes(self[start:] if n < 0 else self[start:start + n]))

    def startsWith(self, part):
        """Whether it begins with `part` (Qt: QByteArray::startsWith)."""
        return self.startswith(part)

    def endsWith(self, part):
        """Whether it ends with `part` (Qt: QByteArray::endsWith)."""
        return self.endswith(part)

    def contains(self, part):
        """Whether `part` occurs in it (Qt: QByteArray::contains)."""
        return part in self

    def indexOf(self, part, start=0):
        """Where `part` first occurs from `start` on: int, -1 for nowhere (Qt: QByteArray::indexOf)."""
        return self.find(part, start)

    def lastIndexOf(self, part):
        """Where `part` last occurs: int, -1 for nowhere (Qt: QByteArray::lastIndexOf)."""
        return self.rfind(part)

    def trimmed(self):
        """Without white space at both ends (Qt: QByteArray::trimmed)."""
        return as_byte_array(bytes(self.strip()))

    def simplified(self):
        """Trimmed, and each white space inside one blank (Qt: QByteArray::simplified)."""
        return as_byte_array(b" ".join(self.split()))

    def toLower(self):
        """With ASCII letters in lower case (Qt: QByteArray::toLower)."""
        return as_byte_array(self.lower())

    def toUpper(self):
        """With ASCII letters in upper case (Qt: QByteArray::toUpper)."""
        return as_byte_array(self.upper())

    def toHex(self):
        """In hexadecimal digits (Qt: QByteArray::toHex)."""
        return as_byte_array(self.hex().encode())

    def toBase64(self):
        """In Base64 (Qt: QByteArray::toBase64)."""
        from binascii import b2a_base64
        return as_byte_array(b2a_base64(self, newline=False))

    def toInt(self, base=10):
        """(int, whether it is one): the number it stands for (Qt: QByteArray::toInt, as PySide gives it)."""
        return number(self, int, base, 0)

    toLong = toLongLong = toUInt = toInt

    def toDouble(self):
        """(float, whether it is one): the number it stands for (Qt: QByteArray::toDouble, as PySide gives it)."""
        return number(self, float, 0, 0.0)

    toFloat = toDouble

    @staticmethod
    def fromHex(text):
        """From hexadecimal digits; ValueError for anything else (Qt: QByteArray::fromHex)."""
        return QByteArray(bytes.fromhex(bytes(text).decode("ascii")))

    @staticmethod
    def fromBase64(text):
        """From Base64; ValueError for anything else (Qt: QByteArray::fromBase64)."""
        from binascii import a2b_base64
        return QByteArray(a2b_base64(text))

    def __add__(self, other):
        total = bytes.__add__(self, other)
        return total if total is NotImplemented else as_byte_array(total)

    def __reduce__(self):
        return QByteArray, (bytes(self),)


cdef object KIND = QByteArray       # as a variable of C: a global of Python would be looked up each time
cdef object EMPTY = QByteArray()
