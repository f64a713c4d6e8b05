# The types of record_sink.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cdef class RecordSink:
    cpdef bint put(
        self, str topic, int partition, bytes key, bytes value, long long timestamp
    ) except -1
