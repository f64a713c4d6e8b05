# The types of view_writer.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

from bus.ports.read_record cimport key_of, time_of
from bus.ports.record_sink cimport RecordSink
from bus.router.membership cimport Membership
from bus.views.kernel cimport Changes
from bus.views.outcome cimport Upsert

cdef int _LOT

@cython.final
cdef class ViewWriter:
    cdef object _partition
    cdef Membership _membership
    cdef object _generation
    cdef list _targets
    cdef object _writer
    cdef RecordSink _sink
    cdef list _lot
    cdef dict _counts
    cdef long long _upserts

    cpdef object write_until_refused(self, object changes, frozenset indexes, object writer)

    cdef object _write(self, Changes changes, frozenset indexes)

    cdef int _hand_on(self) except -1

    @cython.locals(key=bytes, upsert=Upsert, timestamp=cython.longlong, deleted=bint)
    cdef int _note(self, object record, object outcome, frozenset indexes) except -1

    @cython.locals(target=tuple, bit=object, topic=str, number=int)
    cdef object _put(self, Py_ssize_t index, bytes key, bytes value, long long timestamp)

    cdef int _add(self, tuple written) except -1

    cdef object _note_tombstones(
        self, object record, frozenset indexes, object gone, object reason
    )

cdef bint _is_refused(object outcome) except -1
