# The types of walker.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcpy

cdef bint _COMPILED
cdef int _CONTINUES, _LAST_SHIFT
cdef int _STRING, _INTEGER, _UNION, _FIXED, _BYTES, _BOOLEAN, _ENUM, _NULL
cdef int _RECORD, _ARRAY, _MAP, _UUID_TEXT, _DECIMAL

@cython.locals(
    size=Py_ssize_t, byte=int, start=Py_ssize_t, raw=cython.ulonglong, shift=int,
    part=cython.ulonglong, half=cython.longlong, sign=cython.longlong,
)
cpdef (long long, Py_ssize_t) read_varint(bytes data, Py_ssize_t position) except *

@cython.locals(left=cython.ulonglong)
cpdef bytes write_varint(long long value)

@cython.final
cdef class Walker:
    cdef int _root
    cdef int[::1] _kinds
    cdef long long[::1] _counts
    cdef long long[::1] _lows
    cdef long long[::1] _highs
    cdef int[::1] _firsts
    cdef int[::1] _children
    cdef long long _zero_size_items
    cdef long long _value
    cdef int _max_depth
    cdef long long _max_zero_size_items

    cpdef Py_ssize_t walk(self, bytes data, Py_ssize_t position, int depth) except -1

    @cython.locals(first=int, at=Py_ssize_t)
    cpdef Py_ssize_t fields(self, bytes data, Py_ssize_t position, long long[::1] ends) except -1

    @cython.locals(kind=int, after=Py_ssize_t)
    cdef Py_ssize_t _step(self, int row, bytes data, Py_ssize_t position, int depth) except -1

    @cython.locals(after=Py_ssize_t)
    cdef Py_ssize_t _fixed(self, int row, bytes data, Py_ssize_t position) except -1

    @cython.locals(first=int, at=Py_ssize_t)
    cdef Py_ssize_t _record(self, int row, bytes data, Py_ssize_t position, int depth) except -1

    @cython.locals(
        keyed=bint, item=int, least=cython.longlong, count=cython.longlong, size=cython.longlong,
        start=Py_ssize_t, _=cython.longlong,
    )
    cdef Py_ssize_t _blocks(self, int row, bytes data, Py_ssize_t position, int depth) except -1

    @cython.locals(after=Py_ssize_t)
    cdef Py_ssize_t _block_size(self, bytes data, Py_ssize_t position, long long count) except -1
    cdef int _check_count(self, long long count, long long least, Py_ssize_t remaining) except -1
    cdef int _check_depth(self, int depth, Py_ssize_t position) except -1

    @cython.locals(start=Py_ssize_t, after=Py_ssize_t)
    cdef Py_ssize_t _text(self, bytes data, Py_ssize_t position) except -1

    @cython.locals(after=Py_ssize_t)
    cdef Py_ssize_t _symbol(self, int row, bytes data, Py_ssize_t position) except -1

    @cython.locals(start=Py_ssize_t, after=Py_ssize_t)
    cdef Py_ssize_t _checked(self, int row, bytes data, Py_ssize_t position) except -1

    @cython.locals(start=Py_ssize_t)
    cdef Py_ssize_t _span(self, bytes data, Py_ssize_t position) except -1

    @cython.locals(byte=int, after=Py_ssize_t)
    cdef Py_ssize_t _read(self, bytes data, Py_ssize_t position) except -1

    cdef object _out_of_range(self, int row, long long value, Py_ssize_t position)

# Returns up to where there is nothing but ASCII without U+0000, in steps of eight bytes.
cdef inline Py_ssize_t _after_ascii(bytes data, Py_ssize_t start, Py_ssize_t after) noexcept:
    cdef const char *text = PyBytes_AS_STRING(data)
    cdef Py_ssize_t at = start
    cdef unsigned long long eight
    if after - start < 8:
        return start
    while True:
        memcpy(&eight, text + at, 8)
        # The high bit is set in a byte of more than 0x7f, and in one of which 1 cannot be taken.
        if (eight | (eight - 0x0101010101010101ULL)) & 0x8080808080808080ULL:
            return at
        at += 8
        if after - at < 8:
            # The last eight, some of them once more.
            if at == after:
                return after
            memcpy(&eight, text + after - 8, 8)
            if (eight | (eight - 0x0101010101010101ULL)) & 0x8080808080808080ULL:
                return at
            return after

@cython.locals(at=Py_ssize_t, byte=int, size=Py_ssize_t)
cpdef bint is_text(bytes data, Py_ssize_t start, Py_ssize_t after) noexcept

@cython.locals(first=int, second=int, low=int, high=int, size=Py_ssize_t, place=Py_ssize_t)
cdef Py_ssize_t _sequence(bytes data, Py_ssize_t at, Py_ssize_t after) noexcept

@cython.locals(text=bytes)
cdef int check_text(bytes data, Py_ssize_t start, Py_ssize_t after) except -1

cdef Py_ssize_t _boolean(bytes data, Py_ssize_t position) except -1
cdef int _check_decimal(bytes digits, object precision, Py_ssize_t position) except -1
cdef object _cut_off(Py_ssize_t position)
cdef object _too_short(long long wanted, Py_ssize_t position)
