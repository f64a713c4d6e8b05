# The types of membership.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

from bus.router.key_table cimport KeyTable
from bus.router.undo_log cimport UndoLog
from bus.views.held cimport Held

# Not final: Cython lets such a class not say again what it inherits.
cdef class Membership(Held):
    cdef Py_ssize_t _table_keys
    cdef Py_ssize_t _memory_keys
    cdef object _store
    cdef object _get
    cdef KeyTable _table
    cdef object _most
    cdef UndoLog _undo

    cpdef object get(self, bytes key)

    cpdef object expect(self, bytes key)

    cpdef object set(self, bytes key, object bits)

    cpdef object change(self, bytes key, object before, object bits)

    @cython.locals(held=Py_ssize_t)
    cdef object _put(self, bytes key, object bits)
