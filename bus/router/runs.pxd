# The types of runs.py, for Cython (its "augmenting .pxd"); without it the module runs as it is.
cimport cython

from bus.ports.read_record cimport ReadRecord

@cython.locals(
    found=dict, topic=str, of=str, number=cython.longlong, where=cython.longlong, run=list,
    read=ReadRecord,
)
cpdef dict by_partition(object records)
