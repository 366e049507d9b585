"""The workloads in PyTorch."""

import functools

from measure import cycle, repeat
from workloads import BERT, EMBEDDING, GENERATE, GPT, LSTM, MI, WORKLOADS, Data


class Torch:
    """mode "eager": what users write by default; "tuned": fused optimizers and channels_last;
    "compile": tuned, with torch.compile over the forward (and so backward) pass."""

    package = "torch"

    def __init__(self, threads, mode="eager"):
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch, self.nn, self.F = torch, torch.nn, torch.nn.functional
        self.data, self.compiled, self.tuned = Data(), mode == "compile", mode != "eager"

    def tensors(self, *arrays):
        return [self.torch.from_numpy(self.data.np.ascontiguousarray(a)) for a in arrays]

    def autocast(self, bf16):
        return self.torch.autocast("cpu", self.torch.bfloat16, enabled=bf16)

    def layout(self, x):
        return x.to(memory_format=self.torch.channels_last) if self.tuned else x

    def train(self, model, loss, batches, optimizer, clip=None, bf16=False, sparse=False,
              **options):
        if self.tuned and not sparse:
            options["fused"] = True
        opt = getattr(self.torch.optim, optimizer)(model.parameters(), **options)

        def forward(*batch):
            with self.autocast(bf16):
                return loss(model, *batch)

        forward = self.torch.compile(forward) if self.compiled else forward
        stream = cycle(batches)

        def step():
            opt.zero_grad()
            forward(*next(stream)).backward()
            if clip:
                self.nn.utils.clip_grad_norm_(model.parameters(), clip)
            opt.step()

        return step

    def classify(self, model, x, classes, **options):
        y, = self.tensors(self.data.integers(classes, x.shape[0]))
        loss = lambda model, x, y: self.F.cross_entropy(model(x), y)
        return self.train(model, loss, [(x, y)], **options)

    def infer(self, model, x, bf16=False):
        model.eval()
        if self.compiled:
            model = self.torch.compile(model, options={"freezing": True})

        def step():
            with self.torch.no_grad(), self.autocast(bf16):
                model(x)

        return step

    def xor_train(self):
        nn = self.nn
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid())
        loss = lambda model, x, y: self.F.binary_cross_entropy(model(x), y)
        return self.train(model, loss, [self.tensors(*self.data.xor())], "SGD", lr=0.5)

    def mlp_train(self):
        nn = self.nn
        model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
                              nn.Linear(256, 10))
        x, = self.tensors(self.data.normal(128, 784))
        return self.classify(model, x, 10, optimizer="Adam", lr=1e-3)

    def lenet_train(self):
        nn = self.nn
        model = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
        x, = self.tensors(self.data.normal(64, 1, 28, 28))
        return self.classify(self.layout(model), self.layout(x), 10, optimizer="Adam", lr=1e-3)

    def resnet18_train(self):
        import torchvision

        model = torchvision.models.resnet18(num_classes=10)
        model.conv1, model.maxpool = self.nn.Conv2d(3, 64, 3, 1, 1, bias=False), self.nn.Identity()
        x, = self.tensors(self.data.normal(32, 3, 32, 32))
        return self.classify(self.layout(model), self.layout(x), 10,
                             optimizer="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4)

    def vision(self, name, batch):
        import torchvision

        x, = self.tensors(self.data.normal(batch, 3, 224, 224))
        return self.layout(getattr(torchvision.models, name)()), self.layout(x)

    def resnet50_infer(self, batch, bf16=False):
        return self.infer(*self.vision("resnet50", batch), bf16)

    def mobilenetv2_infer(self, batch):
        return self.infer(*self.vision("mobilenet_v2", batch))

    def lstm_train(self):
        nn, vocab, width = self.nn, LSTM["vocab"], LSTM["width"]
        model = nn.ModuleList([nn.Embedding(vocab, width),
                               nn.LSTM(width, width, 2, batch_first=True), nn.Linear(width, vocab)])

        def loss(model, x, y):
            embed, lstm, head = model
            return self.F.cross_entropy(head(lstm(embed(x))[0]).flatten(0, 1), y.flatten())

        batch = self.tensors(*self.data.sequences(vocab, LSTM["batch"], LSTM["length"]))
        return self.train(model, loss, [batch], "Adam", lr=1e-3, clip=1.0)

    @functools.cached_property
    def Transformer(self):
        nn, F = self.nn, self.F

        class Block(nn.Module):
            def __init__(self, width, heads, ffn, decoder):
                super().__init__()
                self.heads, self.decoder = heads, decoder
                self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
                self.ffn = nn.Sequential(nn.Linear(width, ffn), nn.GELU(), nn.Linear(ffn, width))

            def attend(self, x, cache, pos):
                b, t, d = x.shape
                q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
                if cache is not None:
                    cache[0, :, :, pos:pos + t], cache[1, :, :, pos:pos + t] = k, v
                    k, v = cache[:, :, :, :pos + t]
                y = F.scaled_dot_product_attention(q, k, v, is_causal=self.decoder and t > 1)
                return self.out(y.transpose(1, 2).reshape(b, t, d))

            def forward(self, x, cache, pos):
                if self.decoder:
                    x = x + self.attend(self.norm1(x), cache, pos)
                    return x + self.ffn(self.norm2(x))
                x = self.norm1(x + self.attend(x, cache, pos))
                return self.norm2(x + self.ffn(x))

        class Transformer(nn.Module):
            """Pre-norm decoder with a tied head (GPT) or post-norm encoder (BERT)."""

            def __init__(self, vocab, width, heads, layers, ffn, positions, decoder):
                super().__init__()
                self.decoder = decoder
                self.token = nn.Embedding(vocab, width)
                self.position = nn.Embedding(positions, width)
                self.segment = None if decoder else nn.Embedding(2, width)
                self.norm = nn.LayerNorm(width)
                self.blocks = nn.ModuleList(
                    Block(width, heads, ffn, decoder) for _ in range(layers))
                nn.init.normal_(self.token.weight, std=0.02)

            def forward(self, ids, caches=None, pos=0):
                x = self.token(ids) + self.position.weight[pos:pos + ids.shape[1]]
                if not self.decoder:
                    x = self.norm(x + self.segment.weight[0])
                for i, block in enumerate(self.blocks):
                    x = block(x, None if caches is None else caches[i], pos)
                if not self.decoder:
                    return x
                x = x if caches is None else x[:, -1:]
                return F.linear(self.norm(x), self.token.weight)

        return Transformer

    def gpt(self):
        g = GPT
        return self.Transformer(g["vocab"], g["width"], g["heads"], g["layers"], g["ffn"],
                                g["context"], decoder=True)

    def gpt_train(self, bf16=False):
        loss = lambda model, x, y: self.F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        batch = self.tensors(*self.data.sequences(GPT["vocab"], GPT["batch"], GPT["context"]))
        return self.train(self.gpt(), loss, [batch], "AdamW", bf16=bf16,
                          lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)

    def gpt_generate(self):
        torch, model = self.torch, self.gpt().eval()
        heads, length = GPT["heads"], GENERATE["prompt"] + GENERATE["new"]
        prompt, = self.tensors(self.data.integers(GPT["vocab"], 1, GENERATE["prompt"]))
        caches = torch.zeros(GPT["layers"], 2, 1, heads, length, GPT["width"] // heads)
        model = torch.compile(model) if self.compiled else model

        @torch.no_grad()
        def step():
            ids, pos, generated = prompt, 0, []
            for _ in range(GENERATE["new"]):
                logits = model(ids, caches, pos)
                pos += ids.shape[1]
                ids = logits[:, -1].argmax(-1, keepdim=True)
                generated.append(ids)
            return torch.cat(generated, 1)

        return step

    def bert(self, batch):
        b = BERT
        ids, = self.tensors(self.data.integers(b["vocab"], batch, b["length"]))
        return self.Transformer(b["vocab"], b["width"], b["heads"], b["layers"], b["ffn"],
                                b["positions"], decoder=False), ids

    def bert_infer(self, batch, bf16=False, int8=False):
        model, ids = self.bert(batch)
        if int8:
            model = self.torch.ao.quantization.quantize_dynamic(
                model.eval(), {self.nn.Linear}, self.torch.qint8)
        return self.infer(model, ids, bf16)

    def vae_train(self):
        nn, F = self.nn, self.F
        model = nn.ModuleList([nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20),
                               nn.Linear(20, 400), nn.Linear(400, 784)])

        def loss(model, x):
            encode, mean, logvar, decode, out = model
            h = F.relu(encode(x))
            mu, lv = mean(h), logvar(h)
            z = mu + (0.5 * lv).exp() * self.torch.randn_like(mu)
            y = self.torch.sigmoid(out(F.relu(decode(z))))
            kl = -0.5 * (1 + lv - mu.square() - lv.exp()).sum()
            return F.binary_cross_entropy(y, x, reduction="sum") + kl

        return self.train(model, loss, [self.tensors(self.data.uniform(128, 784))], "Adam", lr=1e-3)

    def embedding_train(self):
        nn, e = self.nn, EMBEDDING
        model = nn.ModuleList([nn.Embedding(e["users"], e["width"], sparse=True),
                               nn.Embedding(e["items"], e["width"], sparse=True)])

        def loss(model, user, item, clicked):
            users, items = model
            logits = (users(user) * items(item)).sum(1)
            return self.F.binary_cross_entropy_with_logits(logits, clicked)

        batches = [self.tensors(*b) for b in self.data.ratings()]
        return self.train(model, loss, batches, "SGD", lr=0.1, sparse=True)

    def kernel(self, function, *arrays):
        tensors = self.tensors(*arrays)
        function = self.torch.compile(function) if self.compiled else function

        def step():
            with self.torch.no_grad():
                function(*tensors)

        return step

    def elementwise_16m(self):
        return self.kernel(lambda x: self.F.gelu(1.5 * x + 0.25) * 0.5, self.data.normal(16 * MI))

    def softmax_rows(self):
        return self.kernel(lambda x: x.softmax(-1), self.data.normal(4096, 4096))

    def layernorm_rows(self):
        x, dy = self.tensors(self.data.normal(16384, 1024), self.data.normal(16384, 1024))
        inputs = [x, self.torch.ones(1024), self.torch.zeros(1024)]
        for t in inputs:
            t.requires_grad_()
        forward = lambda x, w, b: self.F.layer_norm(x, (1024,), w, b)
        forward = self.torch.compile(forward) if self.compiled else forward
        return lambda: self.torch.autograd.grad(forward(*inputs), inputs, dy)

    def matmul(self, n, bf16=False):
        dtype = self.torch.bfloat16 if bf16 else self.torch.float32
        a, b = (t.to(dtype) for t in self.tensors(self.data.normal(n, n), self.data.normal(n, n)))
        multiply = self.torch.compile(self.torch.mm) if self.compiled else self.torch.mm
        return lambda: multiply(a, b)

    def op_add4(self):
        a, b = self.tensors(self.data.normal(4), self.data.normal(4))
        return repeat(lambda: a + b)

    def op_matmul64(self):
        a, b = self.tensors(self.data.normal(64, 64), self.data.normal(64, 64))
        return repeat(lambda: a @ b)

    def export_onnx(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, w in WORKLOADS.items():
            build = {"resnet50_infer": functools.partial(self.vision, "resnet50"),
                     "mobilenetv2_infer": functools.partial(self.vision, "mobilenet_v2"),
                     "bert_infer": self.bert}.get(w.family)
            if build and list(w.args) == ["batch"]:
                model, x = build(**w.args)
                self.torch.onnx.export(model.eval(), (x,), folder / f"{name}.onnx", dynamo=True,
                                       input_names=["input"], output_names=["output"])
