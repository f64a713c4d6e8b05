# The types of held.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cdef class Held:
    cpdef object get(self, bytes key)

    cpdef object expect(self, bytes key)
