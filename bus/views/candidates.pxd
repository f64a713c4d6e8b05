# The types of candidates.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

@cython.final
cdef class _Lookup:
    cdef readonly Py_ssize_t place
    cdef readonly dict views

@cython.final
cdef class Candidates:
    cdef tuple _everywhere
    cdef list _lookups
    cdef bint _always_some

    @cython.locals(found=tuple, nowhere=tuple, more=tuple, lookup=_Lookup)
    cpdef tuple find(self, bytes value, long long[::1] ends)
