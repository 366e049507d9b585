"""The workloads of workloads.md: sizes, amounts of work and synthetic inputs."""

from dataclasses import dataclass, field

MI = 1 << 20


@dataclass(frozen=True)
class Workload:
    family: str  # method of the framework class that builds the step
    items: int  # items one step handles
    unit: str
    args: dict = field(default_factory=dict)
    gflop: float = 0  # multiply-adds counted as 2; training counted as 3x forward
    mbytes: float = 0  # least memory traffic of a step, in 1e6 bytes


WORKLOADS = {
    "xor_train": Workload("xor_train", 4, "sample"),
    "mlp_train": Workload("mlp_train", 128, "sample", gflop=0.411),
    "lenet_train": Workload("lenet_train", 64, "image", gflop=1.01),
    "resnet18_train": Workload("resnet18_train", 32, "image", gflop=106.7),
    "resnet50_infer_b1": Workload("resnet50_infer", 1, "image", {"batch": 1}, gflop=8.18),
    "resnet50_infer_b16": Workload("resnet50_infer", 16, "image", {"batch": 16}, gflop=130.9),
    "resnet50_infer_b16_bf16": Workload(
        "resnet50_infer", 16, "image", {"batch": 16, "bf16": True}, gflop=130.9),
    "mobilenetv2_infer_b1": Workload("mobilenetv2_infer", 1, "image", {"batch": 1}, gflop=0.601),
    "lstm_train": Workload("lstm_train", 2048, "token", gflop=13.7),
    "gpt_train": Workload("gpt_train", 1024, "token", gflop=73.0),
    "gpt_train_bf16": Workload("gpt_train", 1024, "token", {"bf16": True}, gflop=73.0),
    "gpt_generate": Workload("gpt_generate", 128, "token", gflop=3.5, mbytes=128 * 43),
    "bert_infer_b1": Workload("bert_infer", 1, "sequence", {"batch": 1}, gflop=2.87),
    "bert_infer_b1_int8": Workload(
        "bert_infer", 1, "sequence", {"batch": 1, "int8": True}, gflop=2.87),
    "bert_infer_b16": Workload("bert_infer", 16, "sequence", {"batch": 16}, gflop=45.9),
    "bert_infer_b16_bf16": Workload(
        "bert_infer", 16, "sequence", {"batch": 16, "bf16": True}, gflop=45.9),
    "vae_train": Workload("vae_train", 128, "sample", gflop=0.499),
    "embedding_train": Workload("embedding_train", 1024, "sample"),
    "elementwise_16m": Workload("elementwise_16m", 16 * MI, "element", mbytes=8 * 16 * MI / 1e6),
    "softmax_rows": Workload("softmax_rows", 4096, "row", mbytes=8 * 16 * MI / 1e6),
    "layernorm_rows": Workload("layernorm_rows", 16384, "row", mbytes=20 * 16 * MI / 1e6),
    "matmul_2048": Workload("matmul", 1, "matmul", {"n": 2048}, gflop=2 * 2048**3 / 1e9),
    "matmul_bf16_2048": Workload(
        "matmul", 1, "matmul", {"n": 2048, "bf16": True}, gflop=2 * 2048**3 / 1e9),
    "op_add4": Workload("op_add4", 1000, "op"),
    "op_matmul64": Workload("op_matmul64", 1000, "op", gflop=1000 * 2 * 64**3 / 1e9),
}

# Shapes shared by the frameworks.
LSTM = dict(vocab=256, width=256, length=64, batch=32)
GPT = dict(vocab=256, width=384, heads=6, layers=6, ffn=1536, context=256, batch=4)
GENERATE = dict(prompt=32, new=128)
BERT = dict(vocab=30522, width=384, heads=12, layers=6, ffn=1536, positions=512, length=128)
EMBEDDING = dict(users=1_000_000, items=200_000, width=32, batch=1024, batches=64)


class Data:
    """Synthetic inputs as numpy arrays, the same for every framework."""

    def __init__(self):
        import numpy as np

        self.np, self.rng = np, np.random.default_rng(0)

    def normal(self, *shape):
        return self.rng.standard_normal(shape, dtype="float32")

    def uniform(self, *shape):
        return self.rng.random(shape, dtype="float32")

    def integers(self, high, *shape):
        return self.rng.integers(0, high, shape)

    def xor(self):
        x = self.np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
        return x, self.np.array([[0], [1], [1], [0]], dtype="float32")

    def sequences(self, vocab, batch, length):
        ids = self.integers(vocab, batch, length + 1)
        return ids[:, :-1], ids[:, 1:]

    def ratings(self):
        """Batches of (user ids, item ids, clicked 0/1) that embedding_train cycles through."""
        e = EMBEDDING
        return [(self.integers(e["users"], e["batch"]), self.integers(e["items"], e["batch"]),
                 self.integers(2, e["batch"]).astype("float32")) for _ in range(e["batches"])]
