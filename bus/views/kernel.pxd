# The types of kernel.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, memcpy

from bus.ports.read_record cimport ReadRecord, key_of
from bus.views.byte_test cimport ByteTest
from bus.views.candidates cimport Candidates
from bus.views.held cimport Held
from bus.views.outcome cimport Upsert, in_one_view
from bus.views.walker cimport Walker, is_text, read_varint, write_varint

cdef bint _COMPILED
cdef bytes _NO_MARK
cdef int _AHEAD, _FIRST_BITS, _FIRST_MASK, _CONTINUES

# What `WriterKernel._joined` returns for a view in which nothing is treated.
cdef inline bytes _spliced(
    bytes prefix, bytes value, const long long[::1] ends, bytes where, int first, bytes end,
    const long long[::1] spans,
):
    cdef Py_ssize_t said = ends[1] - PyBytes_GET_SIZE(prefix)
    cdef Py_ssize_t size = (
        ends[1] + PyBytes_GET_SIZE(where) + 1 + PyBytes_GET_SIZE(end)
    )
    cdef Py_ssize_t at, part
    for at in range(0, spans.shape[0], 2):
        size += ends[spans[at + 1]] - ends[spans[at]]
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef char *to = PyBytes_AS_STRING(made)
    cdef const char *source = PyBytes_AS_STRING(value)
    part = PyBytes_GET_SIZE(prefix)
    memcpy(to, PyBytes_AS_STRING(prefix), part)
    to += part
    # The prefix of the source is as long.
    memcpy(to, source + part, said)
    to += said
    part = PyBytes_GET_SIZE(where)
    memcpy(to, PyBytes_AS_STRING(where), part)
    to += part
    to[0] = <char>first
    to += 1
    part = PyBytes_GET_SIZE(end)
    memcpy(to, PyBytes_AS_STRING(end), part)
    to += part
    for at in range(0, spans.shape[0], 2):
        part = ends[spans[at + 1]] - ends[spans[at]]
        memcpy(to, source + ends[spans[at]], part)
        to += part
    return made

# Tells whether `wanted` stands in `value` from `start` on; there are as many bytes.
cdef inline bint _stands_at(bytes value, Py_ssize_t start, bytes wanted) noexcept:
    return 0 == memcmp(
        PyBytes_AS_STRING(value) + start, PyBytes_AS_STRING(wanted), PyBytes_GET_SIZE(wanted)
    )

@cython.final
cdef class Projection:
    cdef public object index
    cdef public bytes prefix
    cdef public object row_filter
    cdef public ByteTest byte_test
    cdef public list pieces
    cdef const long long[::1] spans

@cython.final
cdef class WriterKernel:
    cdef Walker _walker
    cdef Py_ssize_t _fields
    cdef long long[::1] _ends
    cdef object _seen_ends
    cdef Py_ssize_t _text_key
    cdef object _expected_key
    cdef bytes _meta_rest
    cdef int _partition
    cdef bytes _meta_where
    cdef long long _high
    cdef bytes _meta_end
    cdef int _first
    cdef list _projections
    cdef Candidates _candidates
    cdef list _decodes
    cdef list _filter_errors

    @cython.locals(after=Py_ssize_t, found=list, tested=list, asked=list)
    cpdef object outcome(
        self, bytes value, bytes key, int partition, long long position, frozenset only
    )

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, _=cython.longlong)
    cdef bint _has_key(self, bytes value, bytes key) except -1

    @cython.locals(high=cython.longlong, first=int)
    cdef int _place(self, int partition, long long position) except -1

    @cython.locals(at=Py_ssize_t, projection=Projection, found=list, matched=int)
    cdef list _ask(self, bytes value, list tested, frozenset only)

    cdef dict _decode(self, bytes value)

    @cython.locals(at=Py_ssize_t, projection=Projection, projected=list)
    cdef object _project(self, bytes value, list found, frozenset only)

    cdef bytes _projected(self, bytes value, Projection projection)

    @cython.locals(
        said=bytes, parts=list, first=Py_ssize_t, last=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t,
    )
    cdef bytes _joined(self, bytes value, Projection projection)

@cython.final
cdef class Kernel:
    cdef int _partitions
    cdef object _compile_writer
    cdef object _registered
    cdef object _possible_key
    cdef dict _writers
    cdef long long _last_id
    cdef WriterKernel _last

    @cython.locals(outcomes=list)
    cpdef list apply(self, int partition, object records, frozenset only)

    @cython.locals(read=ReadRecord)
    cpdef object become(self, int partition, object record, frozenset only)

    @cython.locals(schema_id=cython.longlong, writer=WriterKernel)
    cdef object _outcome(
        self, int partition, long long position, bytes key, bytes value, frozenset only
    )

    cdef int _check_key(self, int partition, bytes key) except -1
    cdef int _check_delete(self, bytes key) except -1
    cdef int _check_partition(self, int partition, bytes key) except -1
    cdef WriterKernel _writer(self, long long schema_id)

@cython.final
cdef class Changes:
    cdef Kernel _kernel
    cdef int _partition
    cdef object _records
    cdef frozenset _only
    cdef Held _held
    cdef Py_ssize_t _at
    cdef Py_ssize_t _count
    cdef readonly object record
    cdef readonly object outcome

    cpdef bint advance(self) except -1

# In a C int the highest byte would be shifted into the sign.
@cython.locals(size=Py_ssize_t, high=cython.longlong)
cdef long long _schema_id(bytes value) except -1

@cython.locals(key=bytes)
cdef int _expect(object records, Held held) except -1

@cython.locals(key=bytes)
cdef bint _is_held(object record, Held held) except -1

cdef int _asked(object row_filter, dict seen) except -2
