"""The Python module, as installed: PYTHONPATH=PREFIX/lib/python3/dist-packages python3 -m unittest."""

import ctypes
import importlib.util
import inspect
import os
import re
import threading
import unittest

import numpy as np

import fourge

RNG = np.random.default_rng(1)


def normal(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def address(array):
    return array.__array_interface__["data"][0]


def bf16_bits(x):
    """f32 -> bfloat16, to nearest even; no NaN."""
    bits = x.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


class DlTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("dimensions", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


class Produced:
    """What a tensor of torch or jax looks like from outside: DLPack and nothing else."""

    def __init__(self, array, code, bits, lanes=1, device=1):
        self.array = array
        self.device = device
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        deleted = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: self.deletions.append(1))
        self.deletions = []
        self.kept = shape, deleted
        self.tensor = DlTensor(
            address(array), (ctypes.c_int32 * 2)(device, 0), array.ndim, code, bits, lanes,
            ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)), None, 0, None,
            ctypes.cast(deleted, ctypes.c_void_p).value,
        )

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, stream=None):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


class Formats(unittest.TestCase):
    def test_every_e2m1_value(self):
        values = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        codes = np.arange(16, dtype=np.uint8)
        for name in ("e2m1", "float4_e2m1fn"):
            self.assertEqual(fourge.decode(codes, name).tolist(), values + [-v for v in values])
        self.assertEqual(fourge.encode(np.float32([0.25, 0.75, 5, -7]), "e2m1").view(np.uint8).tolist(), [0, 2, 6, 15])
        self.assertEqual(fourge.encode(np.float32([0.3]), "e2m1", rounding="rp").view(np.uint8).tolist(), [1])

    def test_names_of_ml_dtypes_and_dtype_objects(self):
        self.assertEqual(fourge.element_format("float8_e8m0fnu"), "ue8m0")
        self.assertEqual(fourge.element_format(np.float16), "f16")
        self.assertEqual(fourge.element_format(np.dtype("float32")), "f32")

        class Torch:  # torch.bfloat16 is known by its text only
            def __str__(self):
                return "torch.bfloat16"

        self.assertEqual(fourge.element_format(Torch()), "bf16")

    def test_infinity_and_saturation(self):
        big = np.float32([1e6])
        self.assertEqual(fourge.decode(fourge.encode(big, "e5m2"), "e5m2")[0], 57344)
        self.assertEqual(fourge.decode(fourge.encode(big, "e5m2", saturate=False), "e5m2")[0], np.inf)

    def test_packing(self):
        codes = RNG.integers(0, 16, (3, 8), dtype=np.uint8)
        packed = fourge.pack(codes)
        self.assertEqual(packed.shape, (3, 4))
        self.assertEqual(packed[0, 0], codes[0, 0] | codes[0, 1] << 4)
        np.testing.assert_array_equal(fourge.unpack(packed), codes)

    def test_scale_layouts(self):
        scales = RNG.integers(1, 256, (130, 5), dtype=np.uint8)
        swizzled = fourge.convert_scales(scales, 130, 5, "linear", "swizzled_128x4")
        self.assertEqual(swizzled.shape, (256, 8))
        offsets = fourge.scale_offsets(130, 5, "swizzled_128x4")
        np.testing.assert_array_equal(swizzled.reshape(-1)[offsets], scales)
        np.testing.assert_array_equal(fourge.convert_scales(swizzled, 130, 5, "swizzled_128x4", "linear"), scales)


class Arrays(unittest.TestCase):
    def test_dlpack_bfloat16_is_quantised_like_its_f32(self):
        bits = bf16_bits(normal(4, 32))
        widened = (bits.astype(np.uint32) << 16).view(np.float32)
        producer = Produced(bits, code=4, bits=16)
        producer.dtype = type("dtype", (), {"__str__": lambda self: "torch.bfloat16"})()
        got = fourge.quantize(producer)
        want = fourge.quantize(widened)
        np.testing.assert_array_equal(got.codes, want.codes)
        np.testing.assert_array_equal(got.scales, want.scales)
        self.assertEqual(producer.deletions, [1])

    def test_dlpack_codes_are_shared_and_kept_alive(self):
        codes = RNG.integers(0, 256, (2, 16), dtype=np.uint8)
        scales = np.full((2, 2), 0x38, np.uint8)
        producer = Produced(codes, code=17, bits=4, lanes=2)  # float4_e2m1fn, two a byte
        matrix = fourge.QuantizedMatrix("nvfp4", producer, scales)
        self.assertEqual(address(matrix.codes), address(codes))
        self.assertEqual(address(matrix.scales), address(scales))
        self.assertEqual(producer.deletions, [])
        values = fourge.decode(fourge.unpack(codes), "e2m1")
        np.testing.assert_array_equal(fourge.dequantize(matrix), values)
        del matrix
        self.assertEqual(producer.deletions, [1])

    def test_dlpack_of_another_device_is_refused(self):
        with self.assertRaisesRegex(fourge.Error, "processor's memory"):
            fourge.hadamard(Produced(normal(1, 16), code=2, bits=32, device=2), 16)

    def test_numpys_own_dlpack_and_buffers(self):
        x = normal(2, 32)
        want = fourge.hadamard(x, 32)

        class OnlyDlpack:
            __dlpack__ = staticmethod(x.__dlpack__)
            __dlpack_device__ = staticmethod(x.__dlpack_device__)

        np.testing.assert_array_equal(fourge.hadamard(OnlyDlpack(), 32), want)
        np.testing.assert_array_equal(fourge.hadamard(memoryview(x), 32), want)

    def test_rows_may_be_apart_but_not_elements(self):
        x = normal(6, 64)
        np.testing.assert_array_equal(fourge.hadamard(x[::2, :32], 32), fourge.hadamard(x[::2, :32].copy(), 32))
        with self.assertRaisesRegex(fourge.Error, "next to each other"):
            fourge.hadamard(x[:, ::2], 32)

    def test_wrong_types_say_what_was_expected(self):
        with self.assertRaisesRegex(fourge.Error, "float64: expected float32, bfloat16 or float16"):
            fourge.hadamard(np.zeros((1, 16)), 16)
        with self.assertRaisesRegex(TypeError, "expected an array"):
            fourge.quantize([1.0] * 16)

    @unittest.skipUnless(importlib.util.find_spec("ml_dtypes"), "ml_dtypes cannot be imported here")
    def test_ml_dtypes_arrays(self):
        import ml_dtypes

        x = normal(3, 32)
        wide = x.astype(ml_dtypes.bfloat16)
        np.testing.assert_array_equal(
            fourge.quantize(wide).codes, fourge.quantize(wide.astype(np.float32)).codes)
        self.assertEqual(fourge.encode(x, "float8_e4m3fn").dtype, ml_dtypes.float8_e4m3fn)
        self.assertEqual(fourge.dequantize(fourge.quantize(x), "bfloat16").dtype, ml_dtypes.bfloat16)
        np.testing.assert_array_equal(
            fourge.encode(x, ml_dtypes.float8_e4m3fn).view(np.uint8), x.astype(ml_dtypes.float8_e4m3fn).view(np.uint8))
        q = fourge.quantize(x)
        typed = fourge.QuantizedMatrix("nvfp4", q.codes, q.scales.view(ml_dtypes.float8_e4m3fn),
                                       tensor_scale=q.tensor_scale)
        np.testing.assert_array_equal(fourge.dequantize(typed), fourge.dequantize(q))

    @unittest.skipUnless(importlib.util.find_spec("torch"), "torch cannot be imported here")
    def test_torch_tensors(self):
        import torch

        x = torch.randn(3, 32)
        shared = fourge.QuantizedMatrix("nvfp4", codes := torch.zeros(3, 16, dtype=torch.uint8),
                                        torch.full((3, 2), 0x38, dtype=torch.uint8))
        codes[0, 0] = 0x2  # no copy: what torch writes is what fourge reads
        self.assertEqual(fourge.dequantize(shared)[0, 0], 1.0)
        np.testing.assert_array_equal(fourge.quantize(x).codes, fourge.quantize(x.numpy()).codes)
        wide = x.bfloat16()
        np.testing.assert_array_equal(fourge.quantize(wide).codes, fourge.quantize(wide.float().numpy()).codes)


class Quantize(unittest.TestCase):
    def test_round_trip_through_every_rule(self):
        x = normal(32, 128)
        rules = {
            "nvfp4": ["static_6", "static_4", "mse", "mae", "abs_max", "search", "sweep", "quest"],
            "mxfp4": ["floor", "ceil", "even", "rceil", "static_6", "static_4", "shift", "search", "sweep", "quest"],
        }
        for format, names in rules.items():
            for rule in names:
                q = fourge.quantize(x, format, rule)
                self.assertEqual(q.codes.shape, (32, 64))
                self.assertEqual(q.scales.shape, (32, 128 // q.block))
                error = np.mean((fourge.dequantize(q) - x) ** 2)
                self.assertLess(error, 0.03, (format, rule))
                self.assertGreater(error, 0.001, (format, rule))

    def test_dequantize_is_element_times_scale_times_tensor_scale(self):
        q = fourge.quantize(normal(4, 32), "nvfp4", "mse")
        elements = fourge.decode(fourge.unpack(q.codes), "e2m1")
        scales = np.repeat(fourge.decode(q.scales, "ue4m3"), 16, axis=1)
        want = elements * scales * np.float32(q.decode_multiplier)
        np.testing.assert_array_equal(fourge.dequantize(q), want)
        out = np.full((4, 40), 7, np.float32)
        self.assertEqual(address(fourge.dequantize(q, out=out[:, :32])), address(out))
        np.testing.assert_array_equal(out[:, :32], want)
        self.assertTrue((out[:, 32:] == 7).all())

    def test_rotation_inside_is_rotation_before(self):
        x = normal(8, 64)
        signs = np.where(RNG.random(16) < 0.5, -1, 1).astype(np.int8)
        inside = fourge.quantize(x, "nvfp4", "mse", rotate=16, signs=signs)
        before = fourge.quantize(fourge.hadamard(x, 16, signs=signs), "nvfp4", "mse")
        np.testing.assert_array_equal(inside.codes, before.codes)
        np.testing.assert_array_equal(inside.scales, before.scales)
        plain = fourge.quantize(x, "nvfp4", "mse", rotate=16)
        self.assertFalse(np.array_equal(plain.codes, inside.codes))

    def test_rules_of_both_formats_run_on_kernels(self):
        x = normal(32, 64)
        for format, rule in (("mxfp4", "shift"), ("mxfp4", "quest"), ("nvfp4", "quest"), ("mxfp4", "search"), ("nvfp4", "sweep")):
            self.assertTrue(fourge.Quantizer(format, rule).name.startswith(f"quantize_{format}_{rule}_f32"))
            inside = fourge.quantize(x, format, rule, rotate=32)
            before = fourge.quantize(fourge.hadamard(x, 32), format, rule)
            np.testing.assert_array_equal(inside.codes, before.codes)
            turned = fourge.quantize(x.T.copy(), format, rule, transpose=True, layout="swizzled_128x4")
            plain = fourge.quantize(x, format, rule)
            np.testing.assert_array_equal(turned.codes, plain.codes)
            np.testing.assert_array_equal(turned.to_layout("linear").scales, plain.scales)

    def test_transposed(self):
        x = normal(48, 5)
        got = fourge.quantize(x, transpose=True)
        want = fourge.quantize(x.T.copy())
        self.assertEqual(got.shape, (5, 48))
        np.testing.assert_array_equal(got.codes, want.codes)

    def test_stochastic_rounding_follows_its_seed(self):
        x = normal(8, 64)
        codes = [fourge.quantize(x, rounding="stochastic", seed=s).codes for s in (1, 1, 2)]
        np.testing.assert_array_equal(codes[0], codes[1])
        self.assertFalse(np.array_equal(codes[0], codes[2]))

    def test_layouts_and_directions(self):
        q = fourge.quantize(normal(16, 64), layout="swizzled_8x4")
        np.testing.assert_array_equal(fourge.dequantize(q), fourge.dequantize(q.to_layout("linear")))
        turned = q.with_direction("encode_multiplier")
        self.assertEqual(turned.direction, "encode_multiplier")
        self.assertAlmostEqual(turned.tensor_scale * q.tensor_scale, 1, places=6)

    def test_hadamard_against_the_matrix(self):
        matrix = np.array([[1.0]])
        while len(matrix) < 8:
            matrix = np.block([[matrix, matrix], [matrix, -matrix]])
        x = normal(3, 24)
        want = (x.reshape(3, 3, 8).astype(np.float64) @ matrix.T / np.sqrt(8)).reshape(3, 24)
        np.testing.assert_allclose(fourge.hadamard(x, 8), want, atol=1e-6)
        y = x.copy()
        fourge.hadamard(y, 8, out=y)
        np.testing.assert_allclose(y, want, atol=1e-6)

    def test_gptq_beats_rounding(self):
        w, x = normal(24, 64), normal(256, 64) @ normal(64, 64)
        h = fourge.second_moment(x)
        norms = np.linalg.norm(x.astype(np.float64), axis=0)  # entries are within 15 bits of the columns' amax
        exact = x.T.astype(np.float64) @ x.astype(np.float64)
        self.assertLess(np.max(np.abs(h - exact) / np.outer(norms, norms)), 3e-5)
        by_gptq, report = fourge.gptq(w, h)
        by_rounding, _ = fourge.gptq(w, None)

        def loss(q):
            return np.linalg.norm(x @ (fourge.dequantize(q) - w).T)

        self.assertLess(loss(by_gptq), 0.8 * loss(by_rounding))
        self.assertEqual(report["attempts"], 1)
        rotated = fourge.rotate_hessian(h, 16)
        np.testing.assert_allclose(rotated, fourge.second_moment(fourge.hadamard(x, 16)), rtol=1e-3, atol=1)


class Gemm(unittest.TestCase):
    def test_gives_the_references_bits(self):
        for format in ("nvfp4", "mxfp4", "mxfp4_b16"):
            rule = "mse" if format == "nvfp4" else "rceil"
            a = fourge.quantize(normal(5, 96), format, rule)
            b = fourge.quantize(normal(37, 96), format, rule, layout="swizzled_128x4")
            bias, c = normal(37), normal(5, 37)
            for output in ("float32", "bfloat16", "float16"):
                for extra in ({}, {"bias": bias}, {"c": c}, {"bias": bias, "c": c, "alpha": 0.3}):
                    got = fourge.gemm(a, b, output=output, **extra)
                    want = fourge.reference_gemm(a, b, output=output, **extra)
                    self.assertEqual(got.tobytes(), want.tobytes(), (format, output, list(extra)))

    def test_is_the_product(self):
        a, b = fourge.quantize(normal(5, 64)), fourge.quantize(normal(7, 64))
        want = fourge.dequantize(a).astype(np.float64) @ fourge.dequantize(b).astype(np.float64).T
        np.testing.assert_allclose(fourge.gemm(a, b), want, rtol=1e-5, atol=1e-4)

    def test_packed_once_run_into_an_array_on_any_threads(self):
        a, b = fourge.quantize(normal(9, 128)), fourge.quantize(normal(33, 128))
        packed = fourge.pack_weights(b, 9)
        out = np.zeros((9, 40), np.float32)[:, :33]
        for threads in (1, 2, 3):
            out[...] = 0
            got = fourge.gemm(a, packed, out=out, threads=threads)
            self.assertEqual(address(got), address(out))
            np.testing.assert_array_equal(out, fourge.reference_gemm(a, b))
        self.assertEqual(packed.shape, (33, 128))
        self.assertGreater(packed.bits_per_weight, 4)

    def test_kernels_tell_about_themselves(self):
        kernel = fourge.Gemm(1, 16, 64, "mxfp4", max_isa="scalar")
        self.assertEqual(kernel.name, "gemm_f32_e2m1_e2m1_ue8m0b32_1x16x64__scalar")
        self.assertEqual(kernel.isa, "scalar")
        self.assertEqual(kernel.exactness, "bit_exact(blackwell.mxf4.ue8m0.block32)")
        self.assertTrue(any("__scalar: chosen" in line for line in kernel.decisions))
        self.assertTrue(kernel.budget())
        with self.assertRaisesRegex(fourge.Error, "no generated code"):
            kernel.disassemble()
        best = fourge.Gemm(1, 16, 64)
        if best.code:
            self.assertIn("ret", best.disassemble())
            self.assertTrue(best.registers)
        for other in (fourge.Quantizer(), fourge.Decoder(), fourge.Hadamard(16)):
            self.assertRegex(other.name, "^(quantize|decode|hadamard)_")
            self.assertTrue(other.budget())

    def test_plain_activations(self):
        x, b = normal(3, 64), fourge.quantize(normal(20, 64))
        kernel = fourge.Gemm(3, 20, 64, numerics="fast", activations="f32")
        got = kernel.run(x, kernel.pack(b))
        want = x.astype(np.float64) @ fourge.dequantize(b).astype(np.float64).T
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        with self.assertRaisesRegex(fourge.Error, "activations 'f32'"):
            kernel.run(x.astype(np.float16), kernel.pack(b))

    def test_statistics(self):
        a, b = fourge.quantize(normal(2, 64)), fourge.quantize(normal(16, 64))
        stats = {}
        kernel = fourge.Gemm(2, 16, 64)
        kernel.run(a, kernel.pack(b), stats=stats)
        self.assertGreater(stats["vectors"], 0)
        self.assertEqual(stats["certified_fraction"], 1.0)

    def test_threads_of_python_share_a_kernel(self):
        a, b = fourge.quantize(normal(64, 512)), fourge.quantize(normal(256, 512))
        kernel = fourge.Gemm(64, 256, 512)
        packed = kernel.pack(b)
        want = kernel.run(a, packed)
        results = [None] * 4

        def work(i):
            results[i] = kernel.run(a, packed, threads=1)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            np.testing.assert_array_equal(result, want)

    def test_the_gil_is_released(self):
        # A thread of Python makes progress while a long call runs.
        x = normal(2048, 2048)
        done = threading.Event()
        ticks = []

        def tick():
            while not done.is_set():
                ticks.append(1)
                done.wait(0.0005)

        thread = threading.Thread(target=tick)
        thread.start()
        fourge.quantize(x, "nvfp4", "search")
        before = len(ticks)
        fourge.quantize(x, "nvfp4", "search")
        during = len(ticks) - before
        done.set()
        thread.join()
        self.assertGreater(during, 5)


class Mma(unittest.TestCase):
    def test_one_nvfp4_instruction(self):
        a = np.zeros((1, 32), np.uint8)
        a[0, 0] = 0x02
        ones = np.full((1, 4), 0x38, np.uint8)
        d = fourge.mma("blackwell.mxf4nvf4.ue4m3.block16", a, a, np.float32([[1]]), ones, ones)
        self.assertEqual(d.tolist(), [[2.0]])

    def test_half_precision_and_batches(self):
        a, b = normal(3, 4, 16).astype(np.float16), normal(3, 2, 16).astype(np.float16)
        d = fourge.mma("hopper.f16.f32", a, b)
        self.assertEqual(d.shape, (3, 4, 2))
        want = np.einsum("tik,tjk->tij", a.astype(np.float64), b.astype(np.float64))
        np.testing.assert_allclose(d, want, atol=1e-4)
        self.assertEqual(fourge.mma("hopper.f16.f16", a, b).dtype, np.float16)

    def test_the_accumulator_cuts_off(self):
        # 2^14 * 2^14 + 2^-11 * 2^0: with 25 bits below the largest exponent the small product is lost.
        a, b = np.zeros((1, 16), np.float16), np.zeros((1, 16), np.float16)
        a[0, :2], b[0, :2] = [2.0**14, 2.0**-11], [2.0**14, 1]
        c = np.float32([[-(2.0**28)]])
        self.assertEqual(fourge.mma("hopper.f16.f32", a, b, c)[0, 0], 0)
        wide = "custom:fraction_bits=44,products=16,output=f32,rounding=rz"
        self.assertEqual(fourge.mma(wide, a, b, c, a_format="f16")[0, 0], 2.0**-11)

    def test_models_name_their_evidence(self):
        models = fourge.mma_models()
        self.assertEqual(models["hopper.f16.f32"]["evidence"], "hardware")
        self.assertEqual(models["blackwell.mxf4nvf4.ue4m3.block16"]["scale_block"], 16)
        with self.assertRaisesRegex(fourge.Error, "not found"):
            fourge.mma("hopper.f12", np.zeros((1, 16), np.float16), np.zeros((1, 16), np.float16))


class Errors(unittest.TestCase):
    def test_text_and_kind_are_those_of_the_library(self):
        with self.assertRaises(fourge.Error) as caught:
            fourge.Gemm(1, 1, 17)
        self.assertEqual(str(caught.exception), "bad shape: m 1, n 1, k 17: k must be a multiple of the scale block, 16")
        self.assertEqual(caught.exception.kind, "bad shape")
        self.assertIsInstance(caught.exception, ValueError)

    def test_names_that_do_not_exist_list_those_that_do(self):
        with self.assertRaisesRegex(fourge.Error, "format 'fp4', expected nvfp4, mxfp4, mxfp4_b16"):
            fourge.quantize(normal(1, 16), "fp4")

    def test_wrong_sizes_are_refused_before_anything_is_read(self):
        codes, scales = np.zeros((2, 16), np.uint8), np.zeros((2, 2), np.uint8)
        for arguments in ((codes, scales[:1]), (codes[:, :3].copy(), scales), (codes.reshape(-1), scales),
                          (codes.astype(np.uint16), scales)):
            with self.assertRaises(fourge.Error):
                fourge.QuantizedMatrix("nvfp4", *arguments)
        a, b = fourge.quantize(normal(2, 32)), fourge.quantize(normal(3, 32))
        for extra in ({"bias": normal(2)}, {"c": normal(3, 2)}, {"out": np.zeros((2, 4), np.float32)},
                      {"out": np.zeros((2, 3), np.float64)}, {"threads": -1}):
            with self.assertRaises(fourge.Error, msg=str(extra)):
                fourge.gemm(a, b, **extra)
        frozen = np.zeros((2, 3), np.float32)
        frozen.flags.writeable = False
        with self.assertRaises(fourge.Error):
            fourge.gemm(a, b, out=frozen)


class Interface(unittest.TestCase):
    def test_everything_public_has_a_docstring_and_a_stub(self):
        folder = os.path.dirname(fourge.__file__)
        self.assertTrue(os.path.exists(os.path.join(folder, "py.typed")))
        with open(os.path.join(folder, "__init__.pyi"), encoding="utf-8") as file:
            stub = file.read()
        for name in fourge.__all__:
            if name in ("__version__", "ml_dtypes_names"):
                continue
            self.assertTrue(inspect.getdoc(getattr(fourge, name)), name)
            self.assertRegex(stub, rf"(?m)^(def|class) {name}\b")
        for kernel in (fourge.Gemm, fourge.Quantizer, fourge.Decoder, fourge.Hadamard):
            for name in ("run", "budget", "disassemble", "name"):
                self.assertTrue(inspect.getdoc(getattr(kernel, name)), name)

    def test_stub_functions_take_what_the_functions_take(self):
        with open(os.path.join(os.path.dirname(fourge.__file__), "__init__.pyi"), encoding="utf-8") as file:
            stub = file.read()
        for name in ("quantize", "dequantize", "hadamard", "gemm", "pack_weights"):
            declared = re.search(rf"(?ms)^def {name}\((.*?)\) ->", stub).group(1)
            declared = re.findall(r"(\w+):", declared)
            self.assertEqual(declared, list(inspect.signature(getattr(fourge, name)).parameters), name)


if __name__ == "__main__":
    unittest.main()
