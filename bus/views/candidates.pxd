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

    @cython.locals(found=tuple, more=tuple, lookup=_Lookup)
    cpdef tuple find(self, bytes value, long long[::1] ends)
