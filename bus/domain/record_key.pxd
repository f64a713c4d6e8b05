# The types of record_key.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

cdef unsigned long long _MASK, _MURMUR_SEED, _MURMUR_FACTOR
cdef int _MURMUR_SHIFT

@cython.locals(
    length=Py_ssize_t, whole=Py_ssize_t, start=Py_ssize_t, hashed=cython.ulonglong,
    word=cython.ulonglong,
)
cpdef unsigned long long murmur2(bytes data)
