# The types of outcome.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

@cython.final
cdef class Upsert:
    cdef readonly tuple projections
