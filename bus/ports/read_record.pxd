# The types of read_record.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

# What it holds holds nothing back, so it need not be looked at when garbage is looked for.
@cython.final
@cython.no_gc
@cython.freelist(10240)
cdef class ReadRecord:
    cdef readonly str raw_topic
    cdef readonly int raw_partition
    cdef readonly long long position
    cdef readonly bytes raw_key
    cdef readonly bytes raw_value
    cdef readonly int time_kind
    cdef readonly long long time
    cdef readonly tuple raw_headers

@cython.locals(read=ReadRecord)
cpdef bytes key_of(object record)

@cython.locals(read=ReadRecord)
cpdef long long time_of(object record) except? -1
