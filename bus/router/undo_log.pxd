# The types of undo_log.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

cdef int _BYTE, _LOWER
cdef Py_ssize_t _KEPT_BYTES

@cython.final
cdef class UndoLog:
    cdef bytearray _keys
    cdef list _before

    @cython.locals(size=Py_ssize_t)
    cpdef object note(self, bytes key, object before)

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t)
    cpdef tuple take(self)

    cpdef object clear(self)
