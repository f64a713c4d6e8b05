# The types of key_table.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define os_prefetch(place) __builtin_prefetch(place)
    #else
    #define os_prefetch(place) ((void) (place))
    #endif
    """
    void os_prefetch(const void *) noexcept nogil

cdef inline void _fetch(const unsigned long long[::1] slots, Py_ssize_t slot) noexcept:
    os_prefetch(&slots[slot])

# Tells whether `key` stands in `buffer` from `start` on; there are as many bytes.
cdef inline bint _is_same(
    const unsigned char[::1] buffer, Py_ssize_t start, bytes key
) noexcept:
    return PyBytes_GET_SIZE(key) == 0 or 0 == memcmp(&buffer[start], PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

cdef bint _COMPILED
cdef int _HALF
cdef unsigned long long _LOWER

@cython.final
cdef class KeyTable:
    cdef list _patterns
    cdef dict _numbers
    cdef Py_ssize_t _entries
    cdef Py_ssize_t _live
    cdef Py_ssize_t _used
    cdef Py_ssize_t _most
    cdef Py_ssize_t _room
    cdef Py_ssize_t _mask
    cdef unsigned long long[::1] _slots
    cdef unsigned int[::1] _bits
    cdef unsigned long long[::1] _ends
    cdef unsigned char[::1] _buffer
    cdef object _seen_buffer

    @cython.locals(entry=Py_ssize_t)
    cpdef object get(self, bytes key)

    cpdef object expect(self, bytes key)

    @cython.locals(entry=Py_ssize_t, number=Py_ssize_t, hashed=cython.uint)
    cpdef object put(self, bytes key, object bits)

    @cython.locals(slots=Py_ssize_t)
    cdef int _allocate(self, Py_ssize_t entries, Py_ssize_t room) except -1
    cdef bytes _key(self, Py_ssize_t entry)

    @cython.locals(slot=Py_ssize_t, entry=Py_ssize_t, held=cython.ulonglong)
    cdef Py_ssize_t _entry(self, bytes key, unsigned int hashed) noexcept

    @cython.locals(start=Py_ssize_t, size=Py_ssize_t)
    cdef bint _is_key(self, Py_ssize_t entry, bytes key) noexcept

    cdef int _add(self, bytes key, unsigned int hashed, Py_ssize_t number) except -1

    @cython.locals(
        entry=Py_ssize_t, size=Py_ssize_t, at=Py_ssize_t, shifted=cython.ulonglong,
    )
    cdef int _append(self, bytes key, unsigned int hashed, Py_ssize_t number) except -1

    @cython.locals(slot=Py_ssize_t)
    cdef int _place(self, unsigned long long held) noexcept

    @cython.locals(
        slots="unsigned long long[::1]", bits="unsigned int[::1]", ends="unsigned long long[::1]",
        entries=Py_ssize_t, most=Py_ssize_t, room=Py_ssize_t, used=Py_ssize_t, old=Py_ssize_t,
        held=cython.ulonglong,
    )
    cdef int _rebuild(self, Py_ssize_t wanted) except -1

@cython.locals(hashed=Py_ssize_t)
cdef unsigned int _hash32(bytes key) except? 0
