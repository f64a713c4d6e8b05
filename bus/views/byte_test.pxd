# The types of byte_test.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

from bus.views.walker cimport read_varint

cdef int _BOTH, _EITHER, _NOT, _IS_NULL, _NUMBER, _TEXT, _AMONG_NUMBERS, _AMONG_TEXTS
cdef int _EQUAL, _DIFFERENT, _LESS, _AT_MOST, _GREATER, _AT_LEAST
cdef int _STARTS_WITH, _ENDS_WITH, _CONTAINS, _FAILED

@cython.final
cdef class ByteTest:
    cdef int _root
    cdef int[::1] _kinds
    cdef int[::1] _ones
    cdef int[::1] _others
    cdef int[::1] _relations
    cdef list _constants
    cdef long long[::1] _numbers

    cpdef int matches(self, bytes value, long long[::1] ends) except -2

    @cython.locals(kind=int, first=int, second=int)
    cdef int _step(self, int row, bytes value, long long[::1] ends) except -2

    @cython.locals(
        kind=int, place=Py_ssize_t, position=Py_ssize_t, branch=cython.longlong,
        number=cython.longlong, held=bytes,
    )
    cdef int _item(self, int row, bytes value, long long[::1] ends) except -2

    @cython.locals(kind=int, relation=int)
    cdef int _of_null(self, int row) noexcept

    cdef int _compare(self, int relation, long long held, long long wanted) noexcept
    cdef int _compare_text(self, int relation, bytes held, bytes wanted) except -2
