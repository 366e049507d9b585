"""Inference workloads in ONNX Runtime and OpenVINO."""

from workloads import BERT, Data


class OnnxModels:
    """Base of the runtimes that read the models written by --export-onnx."""

    def __init__(self, threads, folder):
        self.threads, self.folder, self.data = threads, folder, Data()

    def images(self, batch):
        return self.data.normal(batch, 3, 224, 224)

    def ids(self, batch):
        return self.data.integers(BERT["vocab"], batch, BERT["length"])

    def mobilenetv2_infer(self, batch):
        return self.infer(f"mobilenetv2_infer_b{batch}", self.images(batch))


class OnnxRuntime(OnnxModels):
    package = "onnxruntime"

    def infer(self, name, x, int8=False):
        import onnxruntime as ort

        path = self.folder / f"{name}.onnx"
        if int8:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantized = path.with_suffix(".int8.onnx")
            quantize_dynamic(path, quantized, weight_type=QuantType.QInt8)
            path = quantized
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"input": x})

    def resnet50_infer(self, batch):
        return self.infer(f"resnet50_infer_b{batch}", self.images(batch))

    def bert_infer(self, batch, int8=False):
        return self.infer(f"bert_infer_b{batch}", self.ids(batch), int8)


class OpenVino(OnnxModels):
    package = "openvino"

    def infer(self, name, x, bf16=False):
        import openvino as ov

        compiled = ov.Core().compile_model(self.folder / f"{name}.onnx", "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"})
        request = compiled.create_infer_request()
        return lambda: request.infer([x], share_inputs=True, share_outputs=True)

    def resnet50_infer(self, batch, bf16=False):
        return self.infer(f"resnet50_infer_b{batch}", self.images(batch), bf16)

    def bert_infer(self, batch, bf16=False):
        return self.infer(f"bert_infer_b{batch}", self.ids(batch), bf16)
