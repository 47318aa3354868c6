"""Has NumPy load what kvctl get writes: arrays of every dtype and several shapes.

    npy_test.py NPY_WRITER
"""

import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": np.float32, "u8": np.uint8,
          "i8": np.int8, "i32": np.int32, "i64": np.int64, "bool": np.bool_}
SHAPES = [(), (0,), (7,), (2, 3, 4), (3, 0, 2), (1,) * 8]

writer = None


class Npy(unittest.TestCase):
    def test_numpy_loads_every_dtype_and_shape(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([writer, folder], check=True, timeout=60)
            self.assertEqual(len(os.listdir(folder)), len(DTYPES) * len(SHAPES))
            for name, dtype in DTYPES.items():
                for number, shape in enumerate(SHAPES):
                    with self.subTest(dtype=name, shape=shape):
                        array = np.load(os.path.join(folder, f"{name}_{number}.npy"))
                        count = int(np.prod(shape))
                        numbers = np.arange(count) % (2 if name == "bool" else 256)
                        self.assertEqual((array.dtype, array.shape), (dtype, shape))
                        np.testing.assert_array_equal(array, numbers.reshape(shape).astype(dtype))

    def test_a_folder_that_is_not_there_is_an_error_by_name(self):
        result = subprocess.run([writer, "/nowhere/at/all"], capture_output=True, text=True, timeout=60,
                                check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nowhere/at/all/f32_0.npy: cannot be written: No such file or directory",
                      result.stderr)


if __name__ == "__main__":
    writer = sys.argv.pop(1)
    unittest.main()
