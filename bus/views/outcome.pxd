# The types of outcome.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

# What it holds holds nothing back, so it need not be looked at when garbage is looked for.
@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Upsert:
    cdef readonly object index
    cdef readonly bytes value
    cdef tuple _projections

@cython.locals(made=Upsert)
cpdef Upsert in_one_view(object index, bytes value)
