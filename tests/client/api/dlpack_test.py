"""Hands tensors of DLPack to NumPy and takes NumPy's: an implementation of the standard that is not
ours.

    dlpack_test.py LIBRARY
"""

import ctypes
import sys
import unittest

import numpy as np

NUMBERS = {"float32": 1, "float64": 2, "float16": 3, "uint8": 5, "int8": 6, "int32": 7, "int64": 8}

lib = None
capsule_new = ctypes.pythonapi.PyCapsule_New
capsule_new.restype = ctypes.py_object
capsule_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
capsule_pointer.restype = ctypes.c_void_p
capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
capsule_rename = ctypes.pythonapi.PyCapsule_SetName
capsule_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
USED = b"used_dltensor"  # lives as long as every capsule


def load(path):
    library = ctypes.CDLL(path)
    for name in ("make_tensor", "pull_back", "data_of"):
        getattr(library, name).restype = ctypes.c_void_p
    library.last_error.restype = ctypes.c_char_p
    library.make_tensor.argtypes = [ctypes.c_int, ctypes.c_char_p]
    library.bytes_of.restype = ctypes.c_int64
    library.dimension_of.restype = ctypes.c_int64
    library.dimension_of.argtypes = [ctypes.c_void_p, ctypes.c_int]
    for name in ("pull_back", "data_of", "bytes_of", "dtype_of", "dimensions_of", "free_array"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    return library


class Tensor:
    """What numpy.from_dlpack asks."""

    def __init__(self, pointer):
        self.capsule = capsule_new(pointer, b"dltensor", None)

    def __dlpack__(self, stream=None):
        return self.capsule

    def __dlpack_device__(self):
        return (1, 0)


def pull_back(array):
    """The array's value after it went through a store; what was thrown, if anything was."""
    capsule = array.__dlpack__()
    pulled = lib.pull_back(capsule_pointer(capsule, b"dltensor"))
    if not pulled:
        return None, lib.last_error().decode()
    capsule_rename(capsule, USED)  # it was taken over: NumPy's capsule deletes nothing
    shape = [lib.dimension_of(pulled, i) for i in range(lib.dimensions_of(pulled))]
    copy = ctypes.string_at(lib.data_of(pulled), lib.bytes_of(pulled))
    number = lib.dtype_of(pulled)
    lib.free_array(pulled)
    return (number, shape, copy), ""


class DLPackTest(unittest.TestCase):
    def test_numpy_reads_our_arrays(self):
        for name, number in NUMBERS.items():
            values = np.arange(6).astype(name).reshape(2, 3)
            tensor = lib.make_tensor(number, values.tobytes())
            self.assertTrue(tensor, lib.last_error())
            read = np.from_dlpack(Tensor(tensor))
            self.assertEqual(read.dtype, values.dtype)
            np.testing.assert_array_equal(read, values)

    def test_a_store_takes_numpys_arrays(self):
        for name, number in NUMBERS.items():
            for shape in [(), (5,), (2, 1, 3), (0,), (3, 0)]:
                values = np.arange(int(np.prod(shape))).astype(name).reshape(shape)
                pulled, error = pull_back(values)
                self.assertEqual(error, "")
                self.assertEqual(pulled, (number, list(shape), values.tobytes()))

    def test_a_view_without_gaps_is_taken_where_it_begins(self):
        values = np.arange(12, dtype=np.float32).reshape(4, 3)[1:3]
        pulled, error = pull_back(values)
        self.assertEqual(error, "")
        self.assertEqual(pulled[2], values.tobytes())

    def test_other_layouts_and_dtypes_are_refused_by_name(self):
        matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
        for array, expected in [
            (matrix.T, "elements in row-major order without gaps expected, got shape [3,2] with "
                       "strides [1,3]"),
            (matrix[:, ::2], "got shape [2,2] with strides [3,2]"),
            (np.zeros(2, np.uint16), "got type code 1 of 16 bits and 1 lanes"),
            (np.zeros(2, np.complex64), "got type code 5 of 64 bits and 1 lanes"),
        ]:
            pulled, error = pull_back(array)
            self.assertIsNone(pulled)
            self.assertIn(expected, error)


if __name__ == "__main__":
    lib = load(sys.argv.pop(1))
    unittest.main()
